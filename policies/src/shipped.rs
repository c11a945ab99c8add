//! The policy files inside the program.
//! Apart so that one place says what is shipped; it does not parse anything.

/// The invariants no site can widen, as Cedar text.
pub const CEILING: &str = include_str!("../cedar/ceiling.cedar");

/// The vocabulary of every policy, as Cedar schema text. Worth copying beside a site's policies for
/// whoever writes them, but not into the folder: that holds `*.cedar` files only.
pub const SCHEMA: &str = include_str!("../cedar/keysvc.cedarschema");

/// The site policies a new site starts from, as Cedar text; set-up tools write them out as
/// [`DEFAULT_SITE_NAME`].
pub const DEFAULT_SITE: &str = include_str!("../cedar/site.cedar");

/// The file name of [`DEFAULT_SITE`] in a site's folder. The name is part of the policy digest.
pub const DEFAULT_SITE_NAME: &str = "site.cedar";

/// The name the ceiling goes by in the digest and in messages.
pub(crate) const CEILING_NAME: &str = "ceiling.cedar";

/// The name the schema goes by in the digest and in messages.
pub(crate) const SCHEMA_NAME: &str = "keysvc.cedarschema";
