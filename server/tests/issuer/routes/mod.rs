mod auth;
mod health;
mod oauth_token;
mod renewal;
mod tickets;
mod tokens_of_others;
mod users;
mod well_known;
