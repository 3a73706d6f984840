//! Tools and their grants as admins and operators change them: every change is read, checked, sealed, and put in the place of the row
//! that was read.

use super::error::IssuerError;
use super::issuer::Issuer;
use super::keys::form::invalid;
use bmap_model::account::step_up::SteppedUp;
use bmap_model::audit::{Action, Event, Source};
use bmap_model::clock::{UnixTime, WallClock};
use bmap_model::roots::Roots;
use bmap_model::scope::Scopes;
use bmap_model::tool::{Access, CallerKinds, OpenToolFault, Tool, ToolOrigins};
use bmap_model::tool_grant::{Giver, ToolGrant};
use bmap_model::tool_policy;
use bmap_protocol::ids::{ToolId, UserId};
use bmap_protocol::origin::Origin;
use bmap_protocol::token::Assurance;
use bmap_protocol::tool_policy::ToolPolicy;
use bmap_store::{Database, Given, StoreError};

/// The last end of a grant: that of the year 9999.
const LAST_END: UnixTime = UnixTime(253_402_300_799_999);
/// How often a change is tried again where another one changes the same tool.
const ATTEMPTS: usize = 8;

/// Changes tools and grants.
#[derive(Clone, Copy)]
pub struct ToolService<'a> {
    store: &'a Database,
    roots: &'a Roots,
    clock: &'a dyn WallClock,
}

/// A change of a tool; `None` leaves a field as it is.
#[derive(Clone, Debug, Default)]
pub struct ToolChange {
    /// Its public address.
    pub base_url: Option<Origin>,
    /// Pages that may use it.
    pub origins: Option<ToolOrigins>,
    /// The lowest assurance that it accepts.
    pub min_assurance: Option<Assurance>,
    /// Scopes that tokens for it may have.
    pub scopes: Option<Scopes>,
    /// Scopes that every token for it must have.
    pub required_scopes: Option<Scopes>,
    /// Which users may have it.
    pub access: Option<Access>,
    /// The kinds of callers that it takes.
    pub callers: Option<CallerKinds>,
    /// Scopes that it gives to all while it is open.
    pub open_scopes: Option<Scopes>,
    /// What is asked of its requests beside; an empty one takes it away.
    pub policy: Option<ToolPolicy>,
}

impl ToolChange {
    /// Whether it can give the tool to users who have no grant of it: as a grant to all of them.
    pub fn opens(&self) -> bool {
        self.access == Some(Access::Open) || self.open_scopes.is_some()
    }

    fn apply(&self, tool: Tool) -> Tool {
        Tool {
            base_url: self.base_url.clone().map_or(tool.base_url, Into::into),
            origins: self.origins.clone().unwrap_or(tool.origins),
            min_assurance: self.min_assurance.unwrap_or(tool.min_assurance),
            scopes: self.scopes.clone().unwrap_or(tool.scopes),
            required_scopes: self.required_scopes.clone().unwrap_or(tool.required_scopes),
            access: self.access.unwrap_or(tool.access),
            callers: self.callers.clone().unwrap_or(tool.callers),
            open_scopes: self.open_scopes.clone().unwrap_or(tool.open_scopes),
            policy: self.policy.clone().unwrap_or(tool.policy),
            ..tool
        }
    }
}

/// A new grant.
#[derive(Clone, Debug)]
pub struct GrantForm {
    /// The tool.
    pub tool: ToolId,
    /// The user.
    pub user: UserId,
    /// Scopes; `None` for all of the tool's.
    pub scopes: Option<Scopes>,
    /// Its end.
    pub ends_at: Option<UnixTime>,
}

impl Issuer {
    /// Changes tools of this issuer.
    pub fn tools(&self) -> ToolService<'_> {
        ToolService { store: &self.store, roots: &self.roots, clock: &*self.clock }
    }
}

impl<'a> ToolService<'a> {
    /// Changes tools of a store.
    pub const fn new(store: &'a Database, roots: &'a Roots, clock: &'a dyn WallClock) -> Self {
        Self { store, roots, clock }
    }

    /// The tool, as it was written.
    ///
    /// # Errors
    /// [`IssuerError::NotFound`]; [`IssuerError::InvalidState`] for a row that was edited by hand.
    pub async fn find(&self, id: &ToolId) -> Result<Tool, IssuerError> {
        let tool = self.store.tool(id).await?.ok_or(NOT_FOUND)?;
        tool.check_seal(self.roots).map_err(|fault| {
            tracing::error!(tool = id.as_str(), "ALARM: the row of a tool is not as it was written: {fault}");
            IssuerError::InvalidState {
                hint: "the tool's row is not as it was written: bmap tool confirm, on the issuer's machine",
            }
        })?;
        Ok(tool)
    }

    /// Adds a tool, made now.
    ///
    /// # Errors
    /// [`IssuerError::Invalid`] for open scopes that do not fit the tool, [`IssuerError::InvalidState`] for an id that is
    /// taken.
    pub async fn add(&self, tool: Tool, source: &Source) -> Result<Tool, IssuerError> {
        check(&tool)?;
        source.is_about(&tool.id);
        let tool = Tool { created_at: self.clock.now(), ..tool }.sealed(&self.roots.sealing());
        match self.store.add_tool(&tool, &tool.added(source)).await {
            Ok(()) => Ok(tool),
            Err(StoreError::Taken { .. }) => Err(TAKEN),
            Err(error) => Err(error.into()),
        }
    }

    /// Whether a tool could be changed so now; nothing is written.
    ///
    /// # Errors
    /// As [`change`](Self::change).
    pub async fn check_change(&self, id: &ToolId, change: &ToolChange) -> Result<(), IssuerError> {
        check(&change.apply(self.find(id).await?))
    }

    /// Whether a tool could be added so now; nothing is written.
    ///
    /// # Errors
    /// As [`add`](Self::add).
    pub async fn check_new(&self, tool: &Tool) -> Result<(), IssuerError> {
        check(tool)?;
        if self.store.tool(&tool.id).await?.is_some() { Err(TAKEN) } else { Ok(()) }
    }

    /// Changes a tool. Two changes at once are both made.
    ///
    /// # Errors
    /// As [`find`](Self::find) and [`add`](Self::add); [`IssuerError::Conflict`] where others keep changing the same tool.
    pub async fn change(&self, id: &ToolId, change: &ToolChange, source: &Source) -> Result<Tool, IssuerError> {
        source.is_about(id);
        for _ in 0..ATTEMPTS {
            let before = self.find(id).await?;
            let after = change.apply(before.clone());
            check(&after)?;
            let after = after.sealed(&self.roots.sealing());
            let event = after.told(Event::done(Action::ToolUpdate, source, self.clock.now()).on(id));
            if self.store.change_tool(&before, &after, &event).await? {
                return Ok(after);
            }
        }
        Err(IssuerError::Conflict)
    }

    /// Gives a grant, in the place of any that the user has of the tool.
    ///
    /// # Errors
    /// [`IssuerError::NotFound`] for a tool or a user that is not there; [`IssuerError::Invalid`] for scopes that are none of the tool's.
    pub async fn grant(
        &self,
        form: GrantForm,
        by: Giver,
        stepped_up: Option<&SteppedUp>,
        source: &Source,
    ) -> Result<(ToolGrant, Given), IssuerError> {
        let GrantForm { tool, user, scopes, ends_at } = form;
        source.is_about(&user);
        let of_tool = self.find(&tool).await?.all_scopes();
        if self.store.user(&user).await?.is_none() {
            return Err(NO_USER);
        }
        let scopes = scopes.unwrap_or_else(|| of_tool.clone());
        if !scopes.is_within(&of_tool) {
            return Err(invalid("scopes", format!("scopes of the tool: {of_tool}")));
        }
        let given_at = self.clock.now();
        if ends_at.is_some_and(|end| end <= given_at || end > LAST_END) {
            return Err(invalid("ends_at", "milliseconds since 1970, in the future and before the year 10000"));
        }
        let grant = ToolGrant { tool, user, scopes, ends_at, given_by: by, given_at, seal: None };
        let grant = grant.sealed(&self.roots.sealing());
        match self.store.give_grant(&grant, stepped_up, &grant.given(source)).await? {
            Given::NoSuchTool => Err(NOT_FOUND),
            given => Ok((grant, given)),
        }
    }

    /// Takes a grant away. Tokens that were issued by it live on until their end; no further one is issued.
    ///
    /// # Errors
    /// [`IssuerError::NotFound`].
    pub async fn revoke_grant(
        &self,
        tool: &ToolId,
        user: &UserId,
        stepped_up: Option<&SteppedUp>,
        source: &Source,
    ) -> Result<(), IssuerError> {
        source.is_about(user);
        let event = Event::done(Action::ToolRevokeGrant, source, self.clock.now()).on(user).with("tool", tool);
        match self.store.revoke_grant(tool, user, stepped_up, &event).await? {
            true => Ok(()),
            false => Err(IssuerError::NotFound { what: "grant" }),
        }
    }
}

const NOT_FOUND: IssuerError = IssuerError::NotFound { what: "tool" };
const TAKEN: IssuerError = IssuerError::InvalidState { hint: "there is a tool of that id" };
const NO_USER: IssuerError = IssuerError::NotFound { what: "user" };

fn check(tool: &Tool) -> Result<(), IssuerError> {
    tool.check_open_scopes().map_err(|fault: OpenToolFault| invalid("open_scopes", fault.to_string()))?;
    tool_policy::check(&tool.policy, &tool.all_scopes()).map_err(|fault| invalid("policy", fault.to_string()))
}
