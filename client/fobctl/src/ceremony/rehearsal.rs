//! A rehearsal: the plan is walked through by the same code, against a scratch token and a service of its own.
//!
//! The programs are the real ones, found beside this one or in `PATH`; the people, keys and components are made for it and
//! gone with its temporary folder. What of the plan cannot hold there is replaced, and the rehearsed plan says so.

mod keys;
mod site;
mod stand_in;

pub(crate) use site::program;
pub(crate) use stand_in::StandIns;

use crate::{
    ceremony::{agreement, durable, people::People, plan_file::PlanFile},
    fault::Fault,
    output::tell,
};
use keysvc_client::protocol::ceremony::{Plan, Step};
use site::ScratchSite;
use std::path::Path;

/// A rehearsal under way. Dropping it ends its service and removes its folder.
pub(crate) struct Rehearsal {
    site: ScratchSite,
    stand_ins: StandIns,
}

/// What is rehearsed: the plan as it can hold there, and its people.
pub(crate) struct Rehearsed {
    /// The rehearsal.
    pub(crate) rehearsal: Rehearsal,
    /// The plan.
    pub(crate) file: PlanFile,
    /// The people, with contexts of the scratch site.
    pub(crate) people: People,
}

impl Rehearsal {
    /// Lays out a scratch site for a plan's people, founds and starts it unless the plan does, makes the keys that the plan
    /// presumes, and writes the rehearsed plan into `folder`.
    ///
    /// # Errors
    /// [`Fault`] of the programs, the folders and the calls.
    pub(crate) async fn prepare(real: &PlanFile, folder: &Path) -> Result<Rehearsed, Fault> {
        tell(&"rehearsal: a development site with the plan's people is made in a temporary folder");
        let mut site = ScratchSite::lay_out(&real.plan)?;
        let mut people = People::at(site.people(&real.plan))?;
        if !real.plan.founds() {
            site.found()?;
            site.start(&mut people).await?;
            keys::prepare(real, &mut people).await?;
        }
        let (text, stand_ins) = stand_in::plan(real, &site)?;
        durable::folder(folder)?;
        let path = folder.join("plan.toml");
        durable::put(&path, text.as_bytes())?;
        let file = PlanFile::of_bytes(&path, text.into_bytes())?;
        Ok(Rehearsed { rehearsal: Self { site, stand_ins }, file, people })
    }

    /// What stands in for secrets.
    pub(crate) const fn stand_ins(&self) -> &StandIns {
        &self.stand_ins
    }

    /// What nobody is there to do before a step: a service that was founded is started.
    ///
    /// # Errors
    /// [`Fault`] when it does not start.
    pub(crate) async fn before(&mut self, _: &Step, people: &mut People) -> Result<(), Fault> {
        if people.trusted().is_some() && !self.site.serves() {
            self.site.start(people).await?;
        }
        Ok(())
    }
}

impl Rehearsed {
    /// Has every person of the scratch site sign the rehearsed plan.
    ///
    /// # Errors
    /// [`Fault`] of a card.
    pub(crate) async fn agree(&mut self) -> Result<Vec<Vec<u8>>, Fault> {
        let plan: &Plan = &self.file.plan;
        let founding =
            if plan.founds() { Some(crate::ceremony::people::founding_keys(&self.file)?) } else { None };
        let mut agreements = Vec::new();
        for person in &plan.people {
            let known = match founding.as_ref().and_then(|keys| keys.get(&person.name)) {
                Some(key) => *key,
                None => self.people.enrolled(&person.name).await?,
            };
            let card = self.people.card(&person.name, &known)?;
            let signed = agreement::sign_plan(&self.file, person, &*card);
            agreements.push(signed.map_err(|error| Fault::client("sign the plan", error))?);
        }
        Ok(agreements)
    }
}
