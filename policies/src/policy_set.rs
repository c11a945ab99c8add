//! Both layers of policies, loaded, validated and ready to decide.
//! It holds no file open and never reads the folder again: other policies are another set.

use std::collections::HashMap;
use std::fmt;
use std::path::Path;

use cedar_policy::{Policy, Validator};

use crate::action::Action;
use crate::digest;
use crate::error::PolicyError;
use crate::facts::Vocabulary;
use crate::folder;
use crate::question::{Decision, Question};
use crate::rules::Rules;
use crate::shipped::{CEILING, CEILING_NAME, DEFAULT_SITE, DEFAULT_SITE_NAME};
use crate::source::{self, Source};

/// Policies a site may have in all its files. Those that name no action are evaluated in every
/// decision, at about 1 us each: 256 of them keep a decision near a quarter of a millisecond.
pub const SITE_POLICIES_MAX: usize = 256;

/// The ceiling and one site's policies.
pub struct PolicySet {
    vocabulary: Vocabulary,
    rules: HashMap<String, Rules>,
    digest: [u8; 32],
}

impl PolicySet {
    /// Loads the site's policies from every file of `folder`, under the shipped ceiling.
    ///
    /// # Errors
    ///
    /// Whatever is not a folder of a few plain, small, valid `*.cedar` files; the error names the
    /// file and the line.
    pub fn load(folder: &Path) -> Result<Self, PolicyError> {
        Self::new(&folder::read(folder)?)
    }

    /// The shipped site policies under the shipped ceiling, without any file. It equals a folder
    /// that holds [`DEFAULT_SITE`] as [`DEFAULT_SITE_NAME`] and nothing else.
    ///
    /// # Errors
    ///
    /// None in a program that passed its tests.
    pub fn shipped() -> Result<Self, PolicyError> {
        Self::new(&[Source { name: DEFAULT_SITE_NAME.to_owned(), text: DEFAULT_SITE.to_owned() }])
    }

    /// SHA-256 over the ceiling, the schema and each site file.
    ///
    /// For each file in turn: the length of its name (8 bytes, big-endian), its name in UTF-8
    /// without a folder, the length of its content (8 bytes, big-endian), its content as it is on
    /// disk. The files are `ceiling.cedar`, `keysvc.cedarschema`, and then the site's, sorted by
    /// the bytes of their names.
    #[must_use]
    pub fn digest(&self) -> [u8; 32] {
        self.digest
    }

    /// SHA-256 of the shipped ceiling's bytes.
    #[must_use]
    pub fn ceiling_digest() -> [u8; 32] {
        digest::of_ceiling()
    }

    /// Judges one question: [`Decision::Allow`] only if the ceiling and the site both permit it.
    /// An action that the schema does not declare is denied.
    ///
    /// # Errors
    ///
    /// A resource or context that is not the action's, an amount above `i64::MAX`, or a policy that
    /// fails on these facts. The caller must treat each as a denial.
    pub fn decide(&self, question: &Question<'_>) -> Result<Decision, PolicyError> {
        let Some(rules) = self.rules.get(question.action) else { return Ok(Decision::Deny) };
        let (request, entities) = self.vocabulary.put(question, &rules.action)?;
        rules.decide(&request, &entities)
    }

    fn new(site: &[Source]) -> Result<Self, PolicyError> {
        let schema = source::schema()?;
        let validator = Validator::new(schema.clone());

        let ceiling =
            Source { name: CEILING_NAME.to_owned(), text: CEILING.to_owned() }.policies(&validator)?;
        let mut of_site: Vec<Policy> = Vec::new();
        for source in site {
            of_site.extend(source.policies(&validator)?);
            if of_site.len() > SITE_POLICIES_MAX {
                return Err(PolicyError::TooManyPolicies);
            }
        }

        let mut rules = HashMap::new();
        for uid in schema.actions() {
            let action = Action::new(uid, &schema)?;
            rules.insert(action.name().to_owned(), Rules::new(action, &ceiling, &of_site)?);
        }
        Ok(Self { vocabulary: Vocabulary::new(&schema)?, rules, digest: digest::of_set(site) })
    }
}

impl fmt::Debug for PolicySet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Not the policies: they are pages long.
        f.debug_struct("PolicySet").field("digest", &self.digest).finish_non_exhaustive()
    }
}
