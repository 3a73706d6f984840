#!/usr/bin/env bash
# The places tool called without a page: curl for the wire, `bmap sign` for the signature.
#
#   BMAP_ISSUER       the issuer's address
#   BMAP_KEY_ID       an API key that may use the tool
#   BMAP_KEY_SECRET   its secret
#   BMAP              the bmap program (default: the one in PATH)
#
# Secrets, tokens and signatures go through standard input: a command's arguments can be read by every process of the machine.
set -euo pipefail
: "${BMAP_ISSUER:?the issuer\'s address}" "${BMAP_KEY_ID:?the API key\'s id}" "${BMAP_KEY_SECRET:?the API key\'s secret}"
bmap=${BMAP:-bmap}
unset BMAP

# 1. A token for the tool, for five minutes. The answer holds the token, its signing key and the tool's address.
if ! token=$(
  printf 'user = "%s:%s"\n' "$BMAP_KEY_ID" "$BMAP_KEY_SECRET" |
    curl -sS --fail-with-body --config - "$BMAP_ISSUER/oauth/token" \
      --data grant_type=client_credentials --data audience=places
); then
  printf 'no token: %s\n' "$token" >&2
  exit 1
fi
tool=$(printf '%s' "$token" | sed -n 's/.*"base_url":"\([^"]*\)".*/\1/p')
unset BMAP_KEY_ID BMAP_KEY_SECRET # not needed any more

# Signs a request and sends it: `bmap sign` prints the headers, curl sends them. A tool that was just started answers 503 with the seconds
# to wait (profile: after a restart); then the request is signed anew, because the same headers stay refused.
call() {
  local url=$1 body=${2-} sign=() send=() answer status wait attempt
  if [ -n "$body" ]; then
    sign=(--data "$body") send=(--data-raw "$body")
  fi
  for attempt in 1 2; do
    answer=$(printf '%s' "$token" | "$bmap" sign --token - "${sign[@]}" "$url" |
      curl -sS --header @- "${send[@]}" --write-out '\n%{http_code} %header{retry-after}' "$url")
    read -r status wait <<<"${answer##*$'\n'}"
    answer=${answer%$'\n'*}
    if [[ $attempt = 1 && $status = 503 && $wait =~ ^[0-9]$ ]]; then sleep "$wait"; else break; fi
  done
  printf '%s\n' "$answer"
  [ "$status" -lt 400 ]
}

# 2. A GET.
call "$tool/v1/search?q=Sofia&limit=1"

# 3. A POST: the body is digested and signed, and must be sent as it is.
call "$tool/v1/nearby" '{"lat":42.69751,"lon":23.32415,"radius_km":30,"limit":3}'
