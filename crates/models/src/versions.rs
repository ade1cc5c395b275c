//! Finding a version by what the user wrote.

use frazil_catalog::account::{Model, ModelVersion, Object};
use frazil_common::UserError;

use crate::Result;

/// The version that a name means: a version's name, one of its aliases, or `DEFAULT`, `FIRST`,
/// `LAST`. None means the default version. `versions` are the model's, oldest first.
///
/// # Errors
/// The model has no such version.
pub fn find_version<'a>(
    model: &Object<Model>,
    versions: &'a [ModelVersion],
    name: Option<&str>,
) -> Result<&'a ModelVersion> {
    let named = |name: &str| versions.iter().find(|version| version.name == name);
    let found = match name {
        None | Some("DEFAULT") => named(&model.body.default_version),
        Some(name) => named(name)
            .or_else(|| {
                versions.iter().find(|version| version.aliases.iter().any(|alias| alias == name))
            })
            .or_else(|| match name {
                "FIRST" => versions.first(),
                "LAST" => versions.last(),
                _ => None,
            }),
    };
    found.ok_or_else(|| {
        let wanted = name.unwrap_or("DEFAULT");
        UserError::not_found("Version", format!("{wanted} of model {}", model.name)).into()
    })
}

/// Names that always mean something and can't be given to a version or alias.
pub(crate) const RESERVED: [&str; 3] = ["DEFAULT", "FIRST", "LAST"];
