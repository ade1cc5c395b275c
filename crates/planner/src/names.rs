//! Identifiers of the syntax tree as names.

use frazil_common::{ObjectName, UserError, fold_identifier};
use sqlparser::ast::{self, Ident, ObjectNamePart};

use crate::error::{Result, position};

/// Marks scans of rows that no object of the account holds: generated ones, and those of the step
/// before in a recursive table. They need no grant.
pub(crate) const INTERNAL_SCHEMA: &str = "frazil_internal";

/// The identifier's name: folded unless quoted.
pub(crate) fn fold(ident: &Ident) -> String {
    frazil_dialect::identifier(ident)
}

/// An identifier as an error shows it.
pub(crate) fn shown(idents: &[Ident]) -> String {
    let parts: Vec<String> = idents
        .iter()
        .map(|ident| match ident.quote_style {
            None => fold_identifier(&ident.value),
            Some(_) => frazil_common::quote_identifier(&ident.value),
        })
        .collect();
    parts.join(".")
}

/// The identifiers of a name without IDENTIFIER().
pub(crate) fn identifiers(name: &ast::ObjectName) -> Result<Vec<Ident>> {
    let ast::ObjectName(parts) = name;
    parts
        .iter()
        .map(|part| match part {
            ObjectNamePart::Identifier(ident) => Ok(ident.clone()),
            ObjectNamePart::Function(function) => Err(UserError::unsupported(format!(
                "{}() in this name",
                function.name.value.to_uppercase()
            ))
            .at(position(function.name.span))
            .into()),
        })
        .collect()
}

/// One to three identifiers as an object's name.
pub(crate) fn object_name(idents: &[Ident]) -> Result<ObjectName> {
    Ok(frazil_dialect::object_name_of_identifiers(idents)?)
}

/// The upper-case name of an unquoted identifier.
pub(crate) fn keyword(ident: &Ident) -> Option<String> {
    ident.quote_style.is_none().then(|| fold_identifier(&ident.value))
}

/// The single part of an unqualified name.
pub(crate) fn single(name: &ast::ObjectName) -> Result<Ident> {
    let idents = identifiers(name)?;
    match <[Ident; 1]>::try_from(idents) {
        Ok([ident]) => Ok(ident),
        Err(idents) => {
            Err(UserError::syntax(format!("'{}' must not be qualified", shown(&idents))).into())
        }
    }
}
