//! The select list: `*` with its options, names of columns without an alias.

use frazil_common::{Code, UserError};
use frazil_functions::TypedExpr;
use sqlparser::ast::{self, Expr as Syntax, SelectItem};
use sqlparser::tokenizer::Span;

use crate::binder::Binder;
use crate::error::{At, Result, position, refuse, unsupported};
use crate::names::{fold, identifiers, shown, single};
use crate::scope::{Env, positional};
use crate::select::{Item, invalid_at, item_span};
use crate::source_text::finish;

impl Binder<'_> {
    pub(crate) fn select_items(
        &mut self,
        select: Span,
        projection: &[SelectItem],
        env: &Env,
    ) -> Result<Vec<Item>> {
        let unnamed = projection.iter().any(|item| matches!(item, SelectItem::UnnamedExpr(_)));
        let texts =
            if unnamed { self.source.select_items(select.start, projection.len()) } else { None };
        let mut items = Vec::with_capacity(projection.len());
        for (index, item) in projection.iter().enumerate() {
            let span = item_span(item);
            match item {
                SelectItem::UnnamedExpr(expr) => {
                    let value = self.expr(expr, env)?;
                    let text = || match &texts {
                        Some(texts) => texts[index].clone(),
                        None => finish(&expr.to_string()),
                    };
                    let name = column_name(expr).unwrap_or_else(text);
                    items.push(Item { name, value, span });
                }
                SelectItem::ExprWithAlias { expr, alias } => {
                    let value = self.expr(expr, env)?;
                    items.push(Item { name: fold(alias), value, span });
                }
                SelectItem::ExprWithAliases { expr: _, aliases: _ } => {
                    return unsupported("several aliases for one expression").at(span);
                }
                SelectItem::Wildcard(options) => {
                    self.star(None, options, span, env, &mut items).at(span)?;
                }
                SelectItem::QualifiedWildcard(kind, options) => match kind {
                    ast::SelectItemQualifiedWildcardKind::ObjectName(name) => {
                        let idents = identifiers(name)?;
                        self.star(Some(&idents), options, span, env, &mut items).at(span)?;
                    }
                    ast::SelectItemQualifiedWildcardKind::Expr(expr) => {
                        return unsupported(format!("{expr}.*")).at(span);
                    }
                },
            }
        }
        Ok(items)
    }

    /// `*` or `t.*` with ILIKE, EXCLUDE, REPLACE and RENAME, which apply in this order.
    pub(crate) fn star(
        &mut self,
        qualifier: Option<&[ast::Ident]>,
        options: &ast::WildcardAdditionalOptions,
        span: Span,
        env: &Env,
        items: &mut Vec<Item>,
    ) -> Result<()> {
        let ast::WildcardAdditionalOptions {
            wildcard_token: _,
            opt_ilike,
            opt_exclude,
            opt_except,
            opt_replace,
            opt_rename,
            opt_alias,
        } = options;
        refuse(opt_except.is_some(), "* EXCEPT")?;
        refuse(opt_alias.is_some(), "* AS")?;
        let relations = match qualifier {
            None => {
                if env.scope.relations.is_empty() {
                    return invalid_at(
                        span,
                        Code::SyntaxError,
                        "SELECT with no columns: * needs a FROM clause".into(),
                    );
                }
                None
            }
            Some(idents) => {
                let relations = env.scope.relations_named(idents);
                if relations.is_empty() {
                    return Err(UserError::invalid_identifier(shown(idents))
                        .at(position(idents.first().map_or(span, |ident| ident.span)))
                        .into());
                }
                Some(relations)
            }
        };
        let pattern = opt_ilike.as_ref().map(|ast::IlikeSelectItem { pattern }| pattern.as_str());
        let excluded: Vec<ast::Ident> = match opt_exclude {
            None => Vec::new(),
            Some(ast::ExcludeSelectItem::Single(name)) => vec![single(name)?],
            Some(ast::ExcludeSelectItem::Multiple(names)) => {
                names.iter().map(single).collect::<Result<_>>()?
            }
        };
        refuse(pattern.is_some() && !excluded.is_empty(), "ILIKE together with EXCLUDE")?;
        let replaced: Vec<(&ast::Ident, &Syntax)> = match opt_replace {
            None => Vec::new(),
            Some(ast::ReplaceSelectItem { items }) => items
                .iter()
                .map(|item| {
                    let ast::ReplaceSelectElement { expr, column_name, as_keyword: _ } =
                        item.as_ref();
                    (column_name, expr)
                })
                .collect(),
        };
        let renamed: Vec<(&ast::Ident, &ast::Ident)> = match opt_rename {
            None => Vec::new(),
            Some(ast::RenameSelectItem::Single(ast::IdentWithAlias { ident, alias })) => {
                vec![(ident, alias)]
            }
            Some(ast::RenameSelectItem::Multiple(list)) => {
                list.iter().map(|ast::IdentWithAlias { ident, alias }| (ident, alias)).collect()
            }
        };
        let chosen: Vec<usize> = env
            .scope
            .columns
            .iter()
            .enumerate()
            .filter(|(_, column)| match &relations {
                // The merged columns of USING stand first, their sides are not shown again.
                None => column.in_star,
                Some(relations) => {
                    column.relation.is_some_and(|r| relations.contains(&r))
                        && (column.in_star || !column.bare)
                }
            })
            .map(|(index, _)| index)
            .collect();
        for ident in excluded
            .iter()
            .chain(replaced.iter().map(|(i, _)| *i))
            .chain(renamed.iter().map(|(i, _)| *i))
        {
            let name = fold(ident);
            if !chosen.iter().any(|index| env.scope.columns[*index].name == name) {
                return Err(UserError::invalid_identifier(&name).at(position(ident.span)).into());
            }
        }
        let start = items.len();
        for index in chosen {
            let column = &env.scope.columns[index];
            let hidden = excluded.iter().any(|ident| fold(ident) == column.name)
                || pattern.is_some_and(|pattern| !matches_ilike(&column.name, pattern));
            if hidden {
                continue;
            }
            let replacement = replaced.iter().find(|(ident, _)| fold(ident) == column.name);
            let value: TypedExpr = match replacement {
                Some((_, expr)) => self.expr(expr, env)?,
                None => {
                    for (usage, name) in &column.uses {
                        self.uses[*usage].columns.insert(name.clone());
                    }
                    column.typed()
                }
            };
            let name = renamed
                .iter()
                .find(|(ident, _)| fold(ident) == column.name)
                .map_or_else(|| column.name.clone(), |(_, alias)| fold(alias));
            items.push(Item { name, value, span });
        }
        if items.len() == start {
            return invalid_at(span, Code::SyntaxError, "SELECT with no columns".into());
        }
        Ok(())
    }
}

/// The name of an expression that is a plain column.
fn column_name(expr: &Syntax) -> Option<String> {
    let ident = match expr {
        Syntax::Identifier(ident) => ident,
        Syntax::CompoundIdentifier(idents) => idents.last()?,
        Syntax::Nested(inner) => return column_name(inner),
        _ => return None,
    };
    if positional(ident).is_some() { Some(ident.value.clone()) } else { Some(fold(ident)) }
}

/// `%` is any text, `_` one character; case does not count.
fn matches_ilike(name: &str, pattern: &str) -> bool {
    let name: Vec<char> = name.to_uppercase().chars().collect();
    let pattern: Vec<char> = pattern.to_uppercase().chars().collect();
    // reached[j]: the pattern so far matches the first j characters.
    let mut reached = vec![false; name.len() + 1];
    reached[0] = true;
    for p in pattern {
        let mut next = vec![false; name.len() + 1];
        match p {
            '%' => {
                let mut any = false;
                for (slot, now) in next.iter_mut().zip(&reached) {
                    any |= *now;
                    *slot = any;
                }
            }
            p => {
                for j in 0..name.len() {
                    next[j + 1] = reached[j] && (p == '_' || p == name[j]);
                }
            }
        }
        reached = next;
    }
    reached[name.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ilike_patterns() {
        assert!(matches_ilike("EMPLOYEE_ID", "%id%"));
        assert!(matches_ilike("ID", "i_"));
        assert!(!matches_ilike("IDS", "i_"));
        assert!(!matches_ilike("NAME", "%id%"));
    }
}
