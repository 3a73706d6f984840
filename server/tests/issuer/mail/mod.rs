//! Mail, sent to a real mail server: what arrives, what does not, and when.

mod acts;
mod delivery;
mod flood;
mod notice;
mod process;
mod tls;

use crate::mail_server::MailServer;
use crate::world::World;
use bmap_issuer::mail::mailer::{Mailer, Smtp};
use bmap_issuer::mail::worker::MailWorker;
use bmap_server::config::{Config, Environment, Flags};
use std::sync::Arc;
use std::time::Duration;

const FROM: &str = "Places <no-reply@auth.example>";

impl World {
    /// A world whose mail goes to that URL, as the configuration would have it.
    async fn mailing_to(url: &str, ca_file: Option<&str>) -> Self {
        let mut world = Self::start().await;
        world.worker = world.worker(smtp(&world, url, ca_file));
        world
    }

    async fn mailing(server: &MailServer) -> Self {
        Self::mailing_to(&server.plain_url(), None).await
    }

    fn worker(&self, smtp: Smtp) -> MailWorker {
        MailWorker::new(Arc::clone(&self.issuer), Mailer::Smtp(Box::new(smtp)), self.app.accounts.mail())
    }

    async fn waiting(&self) -> i64 {
        self.issuer.store.mail_waiting().await.unwrap()
    }
}

fn smtp(world: &World, url: &str, ca_file: Option<&str>) -> Smtp {
    let mut environment = vec![("BMAP_MAIL_URL", url), ("BMAP_MAIL_FROM", FROM)];
    environment.extend(ca_file.map(|path| ("BMAP_MAIL_CA_FILE", path)));
    let config = Config::load(&Flags::default(), &Environment::of(&environment)).unwrap();
    config.mail.unwrap().smtp(&world.issuer.url).unwrap().with_deadline(Duration::from_secs(5))
}
