//! Deletes rows that have ended, so that nothing takes room after its time. These stay for good: users, API keys (revoked ones too,
//! which entries of the audit log name), tools, and the audit log.

use bmap_model::clock::UnixTime;
use bmap_store::{Database, Result};

/// Deletes everything that has ended by `now`, and used nonces that have ended by the database's own clock; how many rows of each kind.
pub async fn delete_ended(store: &Database, now: UnixTime) -> [(&'static str, Result<u64>); 16] {
    [
        ("tickets", store.delete_ended_tickets(now).await),
        ("used nonces", store.delete_ended_nonces().await),
        ("sessions of pages", store.delete_ended_sessions(now).await),
        ("registrations", store.delete_ended_registrations(now).await),
        ("links", store.delete_ended_links(now).await),
        ("step-ups", store.delete_ended_step_ups(now).await),
        ("key reviews", store.delete_ended_key_reviews(now).await),
        ("invitations", store.delete_ended_invitations(now).await),
        ("mail", store.delete_ended_mail(now).await),
        ("counts of mail", store.delete_old_mail_counts(now).await),
        ("sessions of people", store.delete_ended_user_sessions(now).await),
        ("former secrets", store.delete_ended_former(now).await),
        ("kept answers", store.delete_ended_answers(now).await),
        ("sign-ins with providers", store.delete_ended_openid(now).await),
        ("changes for verifiers", store.delete_ended_link_changes(now.seconds()).await),
        ("known networks", store.delete_ended_networks(now).await),
    ]
}
