// A mail server that writes down what it gets: npm's `smtp-server`, on a free port of 127.0.0.1.
//
// Its behaviour is the JSON of its one argument:
//   port        0 for a free one
//   tls         {key, cert} in PEM: STARTTLS is offered; with `implicit`, TLS from the first byte
//   user, password   the account that may send; without them any client
//   refuse      {at: "mail" | "rcpt" | "data", code, times}: so many refusals, and then none
// It says `listening on PORT`, and then one line of JSON for each message or refusal.

import { SMTPServer } from 'smtp-server';

const options = JSON.parse(process.argv[2]);
const say = (event) => process.stdout.write(`${JSON.stringify(event)}\n`);

let refusals = options.refuse?.times ?? 0;
const refusal = (at) => {
  if (options.refuse?.at !== at || refusals === 0) return null;
  refusals -= 1;
  say({ refused: at, code: options.refuse.code });
  return Object.assign(new Error('not\u001b[31m now'), { responseCode: options.refuse.code });
};

const server = new SMTPServer({
  secure: Boolean(options.tls?.implicit),
  key: options.tls?.key,
  cert: options.tls?.cert,
  hideSTARTTLS: !options.tls,
  authOptional: !options.user,
  disabledCommands: options.user ? [] : ['AUTH'],
  disableReverseLookup: true,
  onAuth(auth, session, done) {
    const known = auth.username === options.user && auth.password === options.password;
    if (!known) say({ refused: 'auth', code: 535 });
    done(known ? null : new Error('who are you'), known ? { user: auth.username } : undefined);
  },
  onMailFrom(address, session, done) {
    done(refusal('mail'));
  },
  onRcptTo(address, session, done) {
    done(refusal('rcpt'));
  },
  onData(stream, session, done) {
    const chunks = [];
    stream.on('data', (chunk) => chunks.push(chunk));
    stream.on('end', () => {
      const refused = refusal('data');
      if (!refused) {
        say({
          from: session.envelope.mailFrom.address,
          to: session.envelope.rcptTo.map((to) => to.address),
          secure: session.secure,
          user: session.user ?? null,
          raw: Buffer.concat(chunks).toString('utf8'),
        });
      }
      done(refused);
    });
  },
});
// A client that leaves in the middle, or does not like the certificate.
server.on('error', (error) => say({ error: error.message }));
server.listen(options.port ?? 0, '127.0.0.1', () => {
  process.stdout.write(`listening on ${server.server.address().port}\n`);
});
