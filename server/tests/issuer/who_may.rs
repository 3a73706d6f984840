//! Who may do what: each kind of caller tries each act over HTTP, and the operator on the machine. The table in docs/threats.md is the result.

use crate::actors::{ACCESS_TOKEN, EXCHANGE, Host, PageToken, TICKET};
use crate::http_client::{Answer, Call};
use crate::operator::Operator;
use crate::person::{Pair, STEP_UP};
use crate::world::{PAGE, TOOL, World};
use bmap_issuer::issuer::{NewApiKey, new_api_key};
use bmap_model::rng::SystemRandom;
use bmap_model::role::Role;
use bmap_model::user::UserName;
use bmap_protocol::ids::{ApiKeyId, UserId};
use bmap_protocol::seal::SigningKind;
use serde_json::json;

/// The callers, in the order of the columns.
enum Who<'w> {
    Stranger,
    User(Pair),
    Key(Host<'w>),
    AdminsKey(Host<'w>),
    AdministeringKey(Host<'w>),
    Admin(Pair),
    Page(PageToken<'w>),
    SignedInPage(Pair),
}

/// The acts, in the order of the rows.
#[derive(Clone, Copy, Debug)]
enum Act {
    MakeKey,
    NewSecretOfOwn,
    NewSecretOfAnothers,
    ChangeOwn,
    ChangeAnothers,
    RenameOwn,
    LookAtAnothers,
    RevokeOwn,
    RevokeAnothers,
    GiveRole,
    Deactivate,
    Activate,
    ListUsers,
    Invite,
    ReadAudit,
    OwnTools,
    ListTools,
    EditTool,
    AddTool,
    ListGrants,
    GiveGrant,
    TakeGrant,
    DirectToken,
    Ticket,
    TokenForTicket,
    TokenForUser,
    Renewal,
    AskAboutOwn,
    AskAboutAnothers,
    RevokeOwnToken,
    RevokeAnothersToken,
}

impl Act {
    const ALL: [Act; 31] = [
        Act::MakeKey,
        Act::NewSecretOfOwn,
        Act::NewSecretOfAnothers,
        Act::ChangeOwn,
        Act::ChangeAnothers,
        Act::RenameOwn,
        Act::LookAtAnothers,
        Act::RevokeOwn,
        Act::RevokeAnothers,
        Act::GiveRole,
        Act::Deactivate,
        Act::Activate,
        Act::ListUsers,
        Act::Invite,
        Act::ReadAudit,
        Act::OwnTools,
        Act::ListTools,
        Act::EditTool,
        Act::AddTool,
        Act::ListGrants,
        Act::GiveGrant,
        Act::TakeGrant,
        Act::DirectToken,
        Act::Ticket,
        Act::TokenForTicket,
        Act::TokenForUser,
        Act::Renewal,
        Act::AskAboutOwn,
        Act::AskAboutAnothers,
        Act::RevokeOwnToken,
        Act::RevokeAnothersToken,
    ];

    /// The row's name.
    const fn name(self) -> &'static str {
        match self {
            Act::MakeKey => "make an API key",
            Act::NewSecretOfOwn => "a new secret for a key of one's own",
            Act::NewSecretOfAnothers => "for another user's",
            Act::ChangeOwn => "change what a key of one's own may do",
            Act::ChangeAnothers => "another user's",
            Act::RenameOwn => "rename a key of one's own",
            Act::LookAtAnothers => "look at another user's key",
            Act::RevokeOwn => "revoke a key of one's own",
            Act::RevokeAnothers => "another user's",
            Act::GiveRole => "give a role",
            Act::Deactivate => "deactivate a user",
            Act::Activate => "activate a user",
            Act::ListUsers => "list users",
            Act::Invite => "invite an address",
            Act::ReadAudit => "read the audit log",
            Act::OwnTools => "list the tools that one may have oneself",
            Act::ListTools => "list tools",
            Act::EditTool => "edit a tool",
            Act::AddTool => "add a tool",
            Act::ListGrants => "list grants",
            Act::GiveGrant => "give a grant",
            Act::TakeGrant => "take a grant away",
            Act::DirectToken => "a direct token (`client_credentials`)",
            Act::Ticket => "a ticket",
            Act::TokenForTicket => "a page's token for its ticket",
            Act::TokenForUser => "a page's token for a signed-in user",
            Act::Renewal => "renew a page's token",
            Act::AskAboutOwn => "ask about a tool's token of one's own",
            Act::AskAboutAnothers => "about another key's",
            Act::RevokeOwnToken => "revoke a tool's token of one's own",
            Act::RevokeAnothersToken => "another key's",
        }
    }

    /// The operator's command on the machine; `None` for an act that needs a credential which the operator makes, and
    /// then has.
    const fn command(self) -> Option<&'static str> {
        Some(match self {
            Act::MakeKey => "key add --user ana --name more --tool places",
            Act::NewSecretOfOwn | Act::NewSecretOfAnothers => "key regenerate KEY",
            Act::ChangeOwn | Act::ChangeAnothers => "key edit KEY --any-network",
            Act::RenameOwn => "key edit KEY --name shop",
            Act::LookAtAnothers => "key show KEY",
            Act::RevokeOwn | Act::RevokeAnothers => "key revoke KEY",
            Act::GiveRole => "user role ana admin",
            Act::Deactivate => "user deactivate ana",
            Act::Activate => "user activate ana",
            Act::ListUsers => "user list",
            Act::Invite => "user invite eve@shop.example",
            Act::ReadAudit => "audit list",
            Act::OwnTools => "tool grants --user ana",
            Act::ListTools => "tool list",
            Act::EditTool => "tool edit places --any-origin",
            Act::AddTool => "tool add more --url http://127.0.0.1:4002",
            Act::ListGrants => "tool grants places",
            Act::GiveGrant => "tool grant ana places",
            Act::TakeGrant => "tool revoke-grant ana places",
            Act::DirectToken | Act::Ticket | Act::TokenForTicket | Act::TokenForUser | Act::Renewal => return None,
            Act::AskAboutOwn | Act::AskAboutAnothers | Act::RevokeOwnToken | Act::RevokeAnothersToken => return None,
        })
    }
}

impl World {
    /// Another key of a user, as the operator makes it.
    async fn key_of(&self, user: &UserId) -> ApiKeyId {
        let (scope, name) = (Self::scope(), UserName::parse("one of many").unwrap());
        let new = NewApiKey { owner: user.clone(), name, signing: SigningKind::HmacSha256, scope: &scope };
        let now = bmap_model::clock::UnixTime(self.clock_millis());
        let (key, _) = new_api_key(&self.issuer.roots, now, &SystemRandom, new).unwrap();
        self.issuer.store.add_api_key(&key, &scope, &crate::world::event()).await.unwrap();
        key.id
    }
}

impl Who<'_> {
    /// Whose keys are one's own: for callers without a user, another user's.
    fn user(&self) -> Option<UserId> {
        match self {
            Who::Stranger | Who::Page(_) => None,
            Who::User(pair) | Who::Admin(pair) | Who::SignedInPage(pair) => Some(pair.user()),
            Who::Key(host) | Who::AdminsKey(host) | Who::AdministeringKey(host) => Some(host.user.clone()),
        }
    }

    /// The call as this caller sends it, with whatever it has.
    async fn send(&self, world: &World, call: Call) -> Answer {
        match self {
            Who::Stranger => call.send(world.address).await,
            Who::User(pair) | Who::Admin(pair) => pair.send(world, call).await,
            Who::Key(host) | Who::AdminsKey(host) | Who::AdministeringKey(host) => host.send(call).await,
            Who::Page(page) => page.signed(call.without("origin").header("origin", PAGE)).send(world.address).await,
            Who::SignedInPage(pair) => pair.send(world, call.without("origin").header("origin", PAGE)).await,
        }
    }

    /// The step-up that the owner of the session has: the page has none, it does not see the password.
    async fn step_up(&self, world: &World) -> Option<String> {
        match self {
            Who::User(pair) | Who::Admin(pair) => Some(world.step_up(&pair.access).await),
            _ => None,
        }
    }

    /// A tool's token that this caller has; of one that has none, another's.
    async fn own_token(&self, shop: &Host<'_>) -> String {
        match self {
            Who::Key(host) | Who::AdminsKey(host) | Who::AdministeringKey(host) => direct_token(host).await,
            Who::Page(page) => page.token().to_owned(),
            _ => direct_token(shop).await,
        }
    }

    /// Credentials of a grant that stand in the form: nothing else is sent with it.
    fn subject(&self) -> &str {
        match self {
            Who::User(pair) | Who::Admin(pair) | Who::SignedInPage(pair) => &pair.access,
            Who::Page(page) => page.token(),
            _ => "bmt_none",
        }
    }
}

/// The outcome: `yes`, `step-up` where that was needed and there, or the code of the refusal.
async fn tried(world: &World, who: &Who<'_>, act: Act, another: &UserId, shop: &Host<'_>) -> String {
    let key = match act {
        Act::NewSecretOfOwn | Act::ChangeOwn | Act::RenameOwn | Act::RevokeOwn => who.user(),
        _ => None,
    };
    let key = world.key_of(key.as_ref().unwrap_or(another)).await;
    let path = format!("/api-keys/{key}");
    let json = |method, path: &str, body| Call { method, ..Call::json(path, &body) };
    let of_user = |verb: &str| format!("/users/{another}/{verb}");
    let grants = format!("/tools/{TOOL}/grants");
    let exchange = |subject: &str, kind: &str, more: &[(&str, &str)]| {
        let fields = [
            &[("grant_type", EXCHANGE), ("subject_token", subject), ("subject_token_type", kind), ("audience", TOOL)][..],
            more,
        ];
        Call::form("/oauth/token", &fields.concat()).header("origin", PAGE)
    };
    let call = match act {
        Act::MakeKey => Call::json("/api-keys", &crate::key_owner::form()),
        Act::NewSecretOfOwn | Act::NewSecretOfAnothers => Call::json(&format!("{path}/regenerate"), &json!({})),
        Act::ChangeOwn | Act::ChangeAnothers => json("PATCH", &path, json!({ "cidrs": [] })),
        Act::RenameOwn => json("PATCH", &path, json!({ "name": "shop" })),
        Act::LookAtAnothers => Call::new("GET", &path),
        Act::RevokeOwn | Act::RevokeAnothers => Call::new("DELETE", &path),
        Act::GiveRole => json("PUT", &of_user("role"), json!({ "role": "member" })),
        Act::Deactivate => Call::new("POST", &of_user("deactivate")),
        Act::Activate => Call::new("POST", &of_user("activate")),
        Act::ListUsers => Call::new("GET", "/users"),
        Act::Invite => Call::json("/invitations", &json!({ "email": "eve@shop.example" })),
        Act::ReadAudit => Call::new("GET", "/audit"),
        Act::OwnTools => Call::new("GET", "/auth/me/tools"),
        Act::ListTools => Call::new("GET", "/tools"),
        Act::EditTool => json("PATCH", &format!("/tools/{TOOL}"), json!({ "scopes": "search route" })),
        Act::AddTool => Call::json("/tools", &json!({ "id": "more", "base_url": "https://more.example" })),
        Act::ListGrants => Call::new("GET", &grants),
        Act::GiveGrant => Call::json(&grants, &json!({ "user": another.as_str() })),
        Act::TakeGrant => {
            world.grant(another, TOOL).await;
            Call::new("DELETE", &format!("{grants}/{another}"))
        }
        Act::DirectToken => Call::form("/oauth/token", &[("grant_type", "client_credentials"), ("audience", TOOL)]),
        Act::Ticket => Call::json("/tickets", &json!({ "tool": TOOL, "origin": PAGE })),
        // The page has the ticket that its backend gave it; a backend has one too. Grants by what stands in the form need no credential.
        Act::TokenForTicket => {
            let ticket = match who {
                Who::Page(_) | Who::Key(_) | Who::AdminsKey(_) | Who::AdministeringKey(_) => shop.ticket().await,
                _ => who.subject().to_owned(),
            };
            return said(&exchange(&ticket, TICKET, &[]).send(world.address).await);
        }
        Act::TokenForUser => {
            let client = [("client_id", shop.id.as_str())];
            return said(&exchange(who.subject(), ACCESS_TOKEN, &client).send(world.address).await);
        }
        Act::Renewal => match who {
            Who::Page(page) => return said(&page.renew().await),
            _ => exchange(who.subject(), ACCESS_TOKEN, &[]),
        },
        Act::AskAboutOwn => Call::form("/oauth/introspect", &[("token", who.own_token(shop).await.as_str())]),
        Act::AskAboutAnothers => Call::form("/oauth/introspect", &[("token", direct_token(shop).await.as_str())]),
        Act::RevokeOwnToken => Call::form("/oauth/revoke", &[("token", who.own_token(shop).await.as_str())]),
        Act::RevokeAnothersToken => Call::form("/oauth/revoke", &[("token", direct_token(shop).await.as_str())]),
    };
    let answer = who.send(world, call.clone()).await;
    if answer.status != 403 || answer.json()["code"] != "step_up_required" {
        return said(&answer);
    }
    match who.step_up(world).await {
        Some(step_up) => match said(&who.send(world, call.header(STEP_UP, &step_up)).await) {
            allowed if allowed == "yes" => "step-up".to_owned(),
            refused => refused,
        },
        None => said(&answer),
    }
}

async fn direct_token(host: &Host<'_>) -> String {
    host.send(host.direct_call()).await.granted()["access_token"].as_str().unwrap().to_owned()
}

fn said(answer: &Answer) -> String {
    match answer.status {
        200 if answer.body == br#"{"active":false}"# => "not active".to_owned(),
        200..300 => "yes".to_owned(),
        _ => format!("`{}`", answer.json()["code"].as_str().unwrap()),
    }
}

/// Whether the operator does it on the machine.
fn done_on_the_machine(operator: &Operator, act: Act) -> &'static str {
    let Some(command) = act.command() else { return "by a key" };
    let key = operator.json(&["key", "add", "--user", "ana", "--name", "website", "--tool", "places"]);
    let words: Vec<&str> =
        command.split(' ').map(|word| if word == "KEY" { key["id"].as_str().unwrap() } else { word }).collect();
    let output = operator.run(&words);
    assert!(output.status.success(), "{command}: {}", String::from_utf8_lossy(&output.stderr));
    "yes"
}

#[tokio::test(flavor = "multi_thread")]
async fn o06_o07_o17_the_table_of_who_may_do_what_is_what_comes_of_trying() {
    let world = World::start().await;
    let another = world.person("ben@shop.example").await.sign_in().await.user();
    let shop = world.host().await;
    let admin = world.admin("root@shop.example").await;
    world.grant(&admin.user(), TOOL).await;
    let admins_key = async |administer: bool| {
        let host = world.host().await;
        world.issuer.set_role(&host.user, Role::Admin, None, &crate::world::source()).await.unwrap();
        world.administer(&host, administer).await;
        host
    };
    let callers = [
        Who::Stranger,
        Who::User(world.guest("ana@shop.example").await),
        Who::Key(world.host().await),
        Who::AdminsKey(admins_key(false).await),
        Who::AdministeringKey(admins_key(true).await),
        Who::Admin(admin),
        Who::Page(shop.page_token().await),
        Who::SignedInPage(world.guest("cem@shop.example").await),
    ];
    let operator = Operator::new();
    operator.out(&["tool", "add", "places", "--url", "http://127.0.0.1:4001"]);
    operator.out(&["user", "add", "ana"]);
    let mut table = "| | stranger | user | API key | admin's key | key with `administer` | admin, signed in | operator's machine | page | \
                     signed-in page |\n|---|---|---|---|---|---|---|---|---|---|\n"
        .to_owned();
    for act in Act::ALL {
        let mut cells = Vec::new();
        for who in &callers {
            cells.push(tried(&world, who, act, &another, &shop).await);
        }
        let on_the_machine = tokio::task::block_in_place(|| done_on_the_machine(&operator, act));
        cells.insert(6, on_the_machine.to_owned());
        table.push_str(&format!("| {} | {} |\n", act.name(), cells.join(" | ")));
    }
    let page = include_str!("../../../docs/threats.md");
    assert!(page.contains(&table), "docs/threats.md, \"Who may do what\", has to have this table:\n{table}");
}
