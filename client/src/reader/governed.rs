//! What the site is governed by, as those enrolled may read it: card profiles and policies. It is the service's word; a
//! profile is checked to agree with itself.

use super::{Outgoing, Reader};
use crate::error::ClientError;
use keysvc_protocol::{
    name::Name,
    reply::{PolicyReply, ProfileListReply, ProfileReply, ProfileView},
    request::{ListProfiles, Operation, ReadPolicy, ReadProfile},
    schema::Schema,
};

/// Most pages of the list: 1,024 profiles in pages of 64 are 16. A service that pages on for ever is stopped here.
const PAGES_MAX: usize = 64;

impl Reader {
    /// One card profile; its newest version where none is given.
    ///
    /// # Errors
    /// [`ClientError`] of the call, or [`ClientError::Malformed`] for another profile than asked for, or one that
    /// contradicts itself.
    pub async fn profile(&self, name: &Name, version: Option<u32>) -> Result<ProfileReply, ClientError> {
        let request = ReadProfile { schema: Schema, name: name.clone(), version };
        let reply: ProfileReply = self.ask(Outgoing::read(Operation::ProfileGet, &request)).await?;
        let profile = &reply.profile;
        if profile.name != *name || version.is_some_and(|version| version != profile.version) {
            return Err(ClientError::malformed("another profile than asked for"));
        }
        profile.check_form().map_err(|error| ClientError::malformed(error.to_string()))?;
        Ok(reply)
    }

    /// All card profiles, by name and version.
    ///
    /// # Errors
    /// [`ClientError`] of the calls.
    pub async fn profiles(&self) -> Result<Vec<ProfileView>, ClientError> {
        let mut all: Vec<ProfileView> = Vec::new();
        for _ in 0..PAGES_MAX {
            let after = all.last().map(|last| last.name.clone());
            let request = ListProfiles { schema: Schema, after: after.clone() };
            let reply: ProfileListReply = self.ask(Outgoing::read(Operation::ProfileList, &request)).await?;
            let page = reply.profiles.into_vec();
            let Some(first) = page.first() else { return Ok(all) };
            let places = page.iter().map(|one| (&one.name, one.version));
            if after.is_some_and(|after| first.name <= after) || !places.is_sorted_by(|one, next| one < next)
            {
                return Err(ClientError::malformed("profiles out of order"));
            }
            all.extend(page);
        }
        Err(ClientError::malformed("a list of profiles without an end"))
    }

    /// The site's policies in force; for officers, auditors and the platform. Whether the files make the digest is for
    /// the caller to see, who knows the shipped ceiling and schema.
    ///
    /// # Errors
    /// [`ClientError`] of the call.
    pub async fn policy(&self) -> Result<PolicyReply, ClientError> {
        self.ask(Outgoing::read(Operation::PolicyGet, &ReadPolicy { schema: Schema })).await
    }
}

#[cfg(test)]
mod tests;
