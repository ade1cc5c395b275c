//! `sqlparser`'s Snowflake dialect with Frazil's hooks.

use std::any::TypeId;
use std::sync::atomic::{AtomicUsize, Ordering};

use sqlparser::ast::{
    Expr, Function, FunctionArg, FunctionArgExpr, FunctionArgumentList, FunctionArguments, Ident,
    ObjectName, ObjectNamePart, Value, WildcardAdditionalOptions,
};
use sqlparser::dialect::{Dialect, Precedence, SnowflakeDialect};
use sqlparser::keywords::Keyword;
use sqlparser::parser::{Parser, ParserError};
use sqlparser::tokenizer::Token;

/// Snowflake's dialect, with model methods and a bound on the parser's work.
#[derive(Debug)]
pub(crate) struct FrazilDialect {
    inner: SnowflakeDialect,
    /// Expressions that may still be begun: `sqlparser` tries alternatives anew at each level, so
    /// that a wrong statement could cost time exponential in its nesting.
    budget: AtomicUsize,
}

impl FrazilDialect {
    /// For a statement of that many tokens.
    pub(crate) fn new(tokens: usize) -> Self {
        let budget = AtomicUsize::new(tokens.saturating_mul(200).saturating_add(100_000));
        FrazilDialect { inner: SnowflakeDialect, budget }
    }

    /// For the tokenizer, which begins no expressions.
    pub(crate) fn for_tokens() -> Self {
        FrazilDialect::new(0)
    }

    fn spend(&self) -> Result<(), ParserError> {
        self.budget
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1))
            .map(|_| ())
            .map_err(|_| ParserError::RecursionLimitExceeded)
    }
}

macro_rules! as_snowflake {
    ($($name:ident),* $(,)?) => { $(fn $name(&self) -> bool { self.inner.$name() })* };
}

impl Dialect for FrazilDialect {
    fn dialect(&self) -> TypeId {
        self.inner.dialect()
    }

    fn is_identifier_start(&self, ch: char) -> bool {
        self.inner.is_identifier_start(ch)
    }

    fn is_identifier_part(&self, ch: char) -> bool {
        self.inner.is_identifier_part(ch)
    }

    as_snowflake! {
        supports_projection_trailing_commas, supports_from_trailing_commas,
        supports_object_name_double_dot_notation, supports_string_literal_backslash_escape,
        supports_within_after_array_aggregation, supports_outer_join_operator,
        supports_connect_by, supports_execute_immediate, supports_match_recognize,
        supports_dictionary_syntax, supports_window_function_null_treatment_arg,
        supports_parenthesized_set_variables, supports_comment_on, supports_extract_comma_syntax,
        supports_subquery_as_function_arg, supports_create_view_comment_syntax,
        supports_array_typedef_without_element_type, supports_parens_around_table_factor,
        supports_values_as_table_factor, describe_requires_table_keyword, allow_extract_custom,
        allow_extract_single_quotes, supports_show_like_before_in,
        supports_left_associative_joins_without_parens, supports_partiql,
        supports_table_versioning, supports_group_by_expr, supports_space_separated_column_options,
        supports_comma_separated_drop_column_list, supports_select_expr_star,
        supports_select_wildcard_exclude, supports_semantic_view_table_factor,
        supports_select_wildcard_replace, supports_select_wildcard_ilike,
        supports_select_wildcard_rename, supports_lambda_functions, supports_comma_separated_trim,
    }

    fn supports_order_by_all(&self) -> bool {
        true
    }

    fn supports_window_clause_named_window_reference(&self) -> bool {
        true
    }

    fn supports_filter_during_aggregation(&self) -> bool {
        true
    }

    fn is_reserved_for_identifier(&self, kw: Keyword) -> bool {
        // Snowflake: "cannot be used as column reference in a scalar expression". Taking them for
        // columns would also put the error of a wrong CASE or CAST at its first word.
        matches!(kw, Keyword::CASE | Keyword::CAST | Keyword::TRY_CAST | Keyword::WHEN)
            || self.inner.is_reserved_for_identifier(kw)
    }

    fn is_column_alias(&self, kw: &Keyword, parser: &mut Parser) -> bool {
        self.inner.is_column_alias(kw, parser)
    }

    fn is_table_alias(&self, kw: &Keyword, parser: &mut Parser) -> bool {
        // `FROM t WINDOW w AS (…)`: the clause of named windows, not an alias.
        if *kw == Keyword::WINDOW
            && matches!(&parser.peek_nth_token_ref(1).token, Token::Word(word) if word.keyword == Keyword::AS)
        {
            return false;
        }
        self.inner.is_table_alias(kw, parser)
    }

    fn is_table_factor(&self, kw: &Keyword, parser: &mut Parser) -> bool {
        self.inner.is_table_factor(kw, parser)
    }

    fn get_reserved_keywords_for_select_item_operator(&self) -> &[Keyword] {
        self.inner.get_reserved_keywords_for_select_item_operator()
    }

    fn is_identifier_generating_function_name(
        &self,
        ident: &Ident,
        name_parts: &[ObjectNamePart],
    ) -> bool {
        self.inner.is_identifier_generating_function_name(ident, name_parts)
    }

    fn get_next_precedence(&self, parser: &Parser) -> Option<Result<u8, ParserError>> {
        match &parser.peek_token_ref().token {
            Token::ExclamationMark => Some(Ok(self.prec_value(Precedence::Period))),
            // With + and -, below * and /.
            Token::StringConcat => Some(Ok(self.prec_value(Precedence::PlusMinus))),
            _ => self.inner.get_next_precedence(parser),
        }
    }

    fn parse_prefix(&self, parser: &mut Parser) -> Option<Result<Expr, ParserError>> {
        if let Err(error) = self.spend() {
            return Some(Err(error));
        }
        match parser.peek_token_ref().token {
            Token::LBrace if begins_with_star(parser) => {
                return Some(star_call(parser, "OBJECT_CONSTRUCT", &Token::RBrace));
            }
            Token::LParen if begins_with_star(parser) => {
                return Some(star_call(parser, COLUMN_LIST, &Token::RParen));
            }
            _ => {}
        }
        self.inner.parse_prefix(parser)
    }

    fn parse_infix(
        &self,
        parser: &mut Parser,
        expr: &Expr,
        precedence: u8,
    ) -> Option<Result<Expr, ParserError>> {
        if parser.consume_token(&Token::ExclamationMark) {
            return Some(model_method(parser, expr));
        }
        if let Some(distinct) = is_distinct(parser) {
            // `sqlparser` takes all that follows, an AND with what is behind it too.
            let left = Box::new(expr.clone());
            let right = parser.parse_subexpr(precedence).map(Box::new);
            return Some(right.map(|right| match distinct {
                true => Expr::IsDistinctFrom(left, right),
                false => Expr::IsNotDistinctFrom(left, right),
            }));
        }
        if let Some(negated) = rlike_null(parser) {
            return Some(Ok(Expr::RLike {
                negated,
                expr: Box::new(expr.clone()),
                pattern: Box::new(Expr::Value(Value::Null.into())),
                regexp: false,
            }));
        }
        self.inner.parse_infix(parser, expr, precedence)
    }
}

/// Reads `IS [NOT] DISTINCT FROM`; whether without the NOT.
fn is_distinct(parser: &mut Parser) -> Option<bool> {
    if parser.parse_keywords(&[Keyword::IS, Keyword::DISTINCT, Keyword::FROM]) {
        return Some(true);
    }
    let not = [Keyword::IS, Keyword::NOT, Keyword::DISTINCT, Keyword::FROM];
    parser.parse_keywords(&not).then_some(false)
}

/// Reads `[NOT] {RLIKE | REGEXP} NULL`, whose NULL `sqlparser` takes for a word of its own; whether
/// it is negated.
fn rlike_null(parser: &mut Parser) -> Option<bool> {
    let word = |n: usize, wanted: &[Keyword]| {
        matches!(&parser.peek_nth_token_ref(n).token, Token::Word(word)
            if wanted.contains(&word.keyword))
    };
    let negated = word(0, &[Keyword::NOT]);
    let first = usize::from(negated);
    if !word(first, &[Keyword::RLIKE, Keyword::REGEXP]) || !word(first + 1, &[Keyword::NULL]) {
        return None;
    }
    for _ in 0..first + 2 {
        parser.advance_token();
    }
    Some(negated)
}

/// Name of the function that `(*)` and `(t.*)` are read as, the data of SEARCH.
pub const COLUMN_LIST: &str = "(*)";

/// Whether `*` or `t.*` follows the bracket that comes next.
fn begins_with_star(parser: &Parser) -> bool {
    match &parser.peek_nth_token_ref(1).token {
        Token::Mul => true,
        Token::Word(_) => {
            parser.peek_nth_token_ref(2).token == Token::Period
                && parser.peek_nth_token_ref(3).token == Token::Mul
        }
        _ => false,
    }
}

/// `{*}` and `(*)`, with EXCLUDE or ILIKE perhaps: a function of the columns. Options of a star
/// with a qualifier are its second argument.
fn star_call(parser: &mut Parser, name: &str, close: &Token) -> Result<Expr, ParserError> {
    let span = parser.next_token().span;
    let mut args = Vec::new();
    if parser.peek_token_ref().token != Token::Mul {
        let table = parser.parse_identifier()?;
        parser.expect_token(&Token::Period)?;
        args.push(FunctionArgExpr::QualifiedWildcard(ObjectName::from(vec![table])));
    }
    let star = parser.next_token();
    let options = parser.parse_wildcard_additional_options(star.clone())?;
    parser.expect_token(close)?;
    let plain =
        options == WildcardAdditionalOptions { wildcard_token: star.into(), ..Default::default() };
    match (plain, args.is_empty()) {
        (true, true) => args.push(FunctionArgExpr::Wildcard),
        (true, false) => {}
        (false, _) => args.push(FunctionArgExpr::WildcardWithOptions(options)),
    }
    Ok(function(Ident::with_span(span, name), args))
}

fn function(name: Ident, args: Vec<FunctionArgExpr>) -> Expr {
    Expr::Function(Function {
        name: ObjectName::from(vec![name]),
        uses_odbc_syntax: false,
        parameters: FunctionArguments::None,
        args: FunctionArguments::List(FunctionArgumentList {
            duplicate_treatment: None,
            args: args.into_iter().map(FunctionArg::Unnamed).collect(),
            clauses: Vec::new(),
        }),
        filter: None,
        null_treatment: None,
        over: None,
        within_group: Vec::new(),
    })
}

/// `model!METHOD(…)`, the exclamation mark read: a function named after the model's parts and
/// `!METHOD`; the version of `MODEL(m, v)!METHOD(…)` goes into the parameters.
fn model_method(parser: &mut Parser, model: &Expr) -> Result<Expr, ParserError> {
    let place = parser.peek_token();
    let (mut parts, version) = match model_name(model) {
        Some(found) => found,
        None => return parser.expected("a model before !", place),
    };
    let method = parser.parse_identifier()?;
    let span = method.span;
    let name = format!("!{}", crate::identifier::identifier(&method));
    parts.push(Ident::with_span(span, name));
    match parser.parse_function(ObjectName::from(parts))? {
        Expr::Function(mut function) => {
            if let Some(version) = version {
                function.parameters = FunctionArguments::List(FunctionArgumentList {
                    duplicate_treatment: None,
                    args: vec![FunctionArg::Unnamed(FunctionArgExpr::Expr(version))],
                    clauses: Vec::new(),
                });
            }
            Ok(Expr::Function(function))
        }
        _ => parser.expected("a model method", place),
    }
}

/// The name's parts, and the version where the expression is `MODEL(name, version)`.
fn model_name(expr: &Expr) -> Option<(Vec<Ident>, Option<Expr>)> {
    match expr {
        Expr::Identifier(ident) => Some((vec![ident.clone()], None)),
        Expr::CompoundIdentifier(idents) => Some((idents.clone(), None)),
        Expr::Function(Function {
            name,
            uses_odbc_syntax: false,
            parameters: FunctionArguments::None,
            args:
                FunctionArguments::List(FunctionArgumentList {
                    duplicate_treatment: None,
                    args,
                    clauses,
                }),
            filter: None,
            null_treatment: None,
            over: None,
            within_group,
        }) if clauses.is_empty() && within_group.is_empty() => {
            let [ObjectNamePart::Identifier(function)] = name.0.as_slice() else { return None };
            if function.quote_style.is_some() || !function.value.eq_ignore_ascii_case("MODEL") {
                return None;
            }
            let expression = |arg: &FunctionArg| match arg {
                FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => Some(expr.clone()),
                _ => None,
            };
            match args.as_slice() {
                [model] => Some((model_name(&expression(model)?)?.0, None)),
                [model, version] => {
                    let version = expression(version)?;
                    crate::identifier::version_name(&version)?;
                    Some((model_name(&expression(model)?)?.0, Some(version)))
                }
                _ => None,
            }
        }
        _ => None,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use sqlparser::ast::Expr;

    use crate::{model_of_function, parse_expression};

    #[test]
    fn model_methods_are_functions() {
        for (sql, model, version, method) in [
            ("m!PREDICT(a, b)", "M", None, "PREDICT"),
            ("db.s.\"m\"!predict(x => a)", "DB.S.\"m\"", None, "PREDICT"),
            ("MODEL(m, v1)!PREDICT_PROBA(*)", "M", Some("V1"), "PREDICT_PROBA"),
            ("model(d.s.m, 'best')!predict(a)", "D.S.M", Some("BEST"), "PREDICT"),
            ("MODEL(m)!PREDICT(a)", "M", None, "PREDICT"),
        ] {
            let Ok(Expr::Function(function)) = parse_expression(sql) else { panic!("{sql}") };
            let (name, found, called) = model_of_function(&function).unwrap().expect(sql);
            assert_eq!(
                (name.to_string().as_str(), found.as_deref(), called.as_str()),
                (model, version, method)
            );
        }
    }

    #[test]
    fn methods_bind_tighter_than_operators() {
        let Ok(Expr::UnaryOp { expr, .. }) = parse_expression("-m!PREDICT(a)") else { panic!() };
        assert!(matches!(*expr, Expr::Function(_)));
        let Ok(Expr::Cast { expr, .. }) = parse_expression("m!PREDICT(a):x::FLOAT") else {
            panic!()
        };
        assert!(matches!(*expr, Expr::JsonAccess { .. }));
    }

    #[test]
    fn only_names_have_methods() {
        for sql in
            ["1!PREDICT(a)", "f(x)!PREDICT(a)", "m!PREDICT", "m!(a)", "MODEL(m, v, w)!PREDICT()"]
        {
            assert!(parse_expression(sql).is_err(), "{sql}");
        }
    }

    #[test]
    fn wrong_nesting_fails_in_bounded_work() {
        // Each level could be read twice: 2^40 steps without the budget.
        let sql = format!("{} @", "CAST(".repeat(40));
        assert!(parse_expression(&sql).is_err());
        let sql = format!("{}1 AS INT", "CAST(".repeat(60));
        assert!(parse_expression(&sql).is_err());
    }
}
