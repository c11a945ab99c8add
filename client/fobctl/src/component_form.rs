//! The forms on which custodians keep components, and the sheet of check values that goes with the plan.
//!
//! Static pages for an offline machine: no scripts, nothing from elsewhere. A form holds one component in clear; its page
//! is written into memory of its last size and wiped, so that no other copy is left there. It decides nothing and asks
//! nothing.

use crate::{check_value::grouped, fault::Fault};
use askama::Template;
use keysvc_client::component::{Component, ComponentSet};
use std::io;
use zeroize::Zeroizing;

/// Room for a page, in bytes: the templates have 5 KiB, and what goes in less than one.
const PAGE_LEN_MAX: usize = 16 * 1024;
/// Digits and spaces of the first of a component's two lines: four groups of four.
const LINE_LEN: usize = 19;

/// What stands on all pages of one key.
#[derive(Debug, Clone)]
pub(crate) struct Heading {
    /// The key's name, where it is known; a line to write it on otherwise.
    pub(crate) key: Option<String>,
    /// When the components were made, in words.
    pub(crate) made: String,
    /// How many components there are.
    pub(crate) components: usize,
    /// The check value of the whole key.
    pub(crate) check: String,
}

#[derive(Template)]
#[template(path = "component.html")]
struct Form<'a> {
    heading: &'a Heading,
    number: usize,
    serial: String,
    first: &'a str,
    second: &'a str,
    check: String,
}

#[derive(Template)]
#[template(path = "component-sheet.html")]
struct Sheet<'a> {
    heading: &'a Heading,
    rows: Vec<Row>,
    command: String,
}

struct Row {
    number: usize,
    serial: String,
    check: String,
}

impl Heading {
    pub(crate) fn of(set: &ComponentSet, key: Option<String>, made: String) -> Self {
        Self { key, made, components: set.components.len(), check: grouped(set.check) }
    }

    /// The serial number of a form: which key it belongs to, and which component it is.
    pub(crate) fn serial(&self, number: usize) -> String {
        format!("{}-{number}", self.check.replace(' ', "").to_uppercase())
    }
}

/// The page of one component.
///
/// # Errors
/// [`Fault::Output`] when it cannot be made.
pub(crate) fn form(
    heading: &Heading,
    number: usize,
    component: &Component,
) -> Result<Zeroizing<String>, Fault> {
    let written = component.written();
    let (first, second) = written.split_at_checked(LINE_LEN).unwrap_or((&written, ""));
    page(&Form {
        heading,
        number,
        serial: heading.serial(number),
        first,
        second: second.trim_start(),
        check: grouped(component.check_value()),
    })
}

/// The page with the check values alone: for the plan, and for whoever asks for the import.
///
/// # Errors
/// [`Fault::Output`] when it cannot be made.
pub(crate) fn sheet(heading: &Heading, set: &ComponentSet) -> Result<Zeroizing<String>, Fault> {
    let rows = (1..).zip(&set.components).map(|(number, component)| Row {
        number,
        serial: heading.serial(number),
        check: grouped(component.check_value()),
    });
    page(&Sheet { heading, rows: rows.collect(), command: command(heading, set) })
}

/// The command that asks for the import, with the check values in it.
pub(crate) fn command(heading: &Heading, set: &ComponentSet) -> String {
    let components = set.components.iter().map(|one| format!(" --component CUSTODIAN={}", one.check_value()));
    let components: String = components.collect();
    let key = heading.key.as_deref().unwrap_or("NAME");
    format!("fobctl key import {key} --check-value {}{components} --reason REASON", set.check)
}

fn page(template: &impl Template) -> Result<Zeroizing<String>, Fault> {
    let mut page = Zeroizing::new(String::with_capacity(PAGE_LEN_MAX));
    template.render_into(&mut *page).map_err(|error| Fault::Output(io::Error::other(error)))?;
    Ok(page)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set() -> ComponentSet {
        Component::generate_set(3).unwrap()
    }

    fn heading(set: &ComponentSet) -> Heading {
        Heading::of(set, Some("acme-master".into()), "2026-11-22".into())
    }

    #[test]
    fn a_form_holds_its_own_component_and_no_other() {
        let set = set();
        let page = form(&heading(&set), 2, &set.components[1]).unwrap();
        for (number, component) in set.components.iter().enumerate() {
            let written = component.written();
            let found = written.split(' ').filter(|group| page.contains(&format!("{group} "))).count();
            assert_eq!(found >= 6, number == 1, "component {}", number + 1);
        }
        assert!(page.contains("component 2 of 3") && page.contains("acme-master"), "{}", page.as_str());
        assert!(page.contains(&grouped(set.components[1].check_value())));
        assert!(page.len() < PAGE_LEN_MAX && !page.contains("<script"));
    }

    #[test]
    fn the_sheet_holds_every_check_value_and_no_component() {
        let set = set();
        let page = sheet(&heading(&set), &set).unwrap();
        for component in &set.components {
            assert!(page.contains(&grouped(component.check_value())));
            let written = component.written();
            assert!(!page.contains(written.as_str()) && !page.contains(&written[..LINE_LEN]));
        }
        assert!(page.contains(&format!("--check-value {}", set.check)));
        assert!(page.len() < PAGE_LEN_MAX);
    }
}
