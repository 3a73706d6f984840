mod introspect;
mod revoke;
mod token;
