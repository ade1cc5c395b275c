//! PIVOT … IN (ANY) and IN (query): the values are read before the query is planned, as they are
//! its columns.

use std::collections::{HashMap, VecDeque};
use std::ops::ControlFlow;

use arrow::array::Array;
use datafusion::common::ScalarValue;
use frazil_common::{SqlType, UserError};
use frazil_dialect::sqlparser::ast::{
    CastKind, Cte, DataType, Expr, ExprWithAlias, Ident, OrderBy, OrderByKind, PivotValueSource,
    Query, SelectItem, SetExpr, TableFactor, Value, Visit, VisitMut, Visitor, VisitorMut, With,
};
use frazil_functions::TypedExpr;
use frazil_functions::cast::{CastMode, cast};
use futures::future::BoxFuture;

use crate::resolve::relation::plan_in_view;
use crate::run::execute::run_to_batches;
use crate::statements::context::{StatementContext, Work};
use crate::statements::query::{operators, plan};

/// Most columns that a pivot makes of values.
const VALUES_MAX: usize = 1000;

/// Whether the columns of a query are values of the rows it reads.
pub(crate) fn depend_on_rows(query: &Query) -> Result<bool, UserError> {
    Ok(!value_queries(query)?.is_empty())
}

/// Where the query stands that has the pivots.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Place<'a> {
    Statement,
    /// In the text of a view, so many views deep; its owner reads the values.
    View {
        owner: &'a str,
        depth: usize,
    },
}

/// The query with the values of its pivots written out; `None` if it has no such pivot.
pub(crate) fn written_out<'a>(
    context: &'a StatementContext,
    work: &'a mut Work,
    query: &'a Query,
    source: &'a str,
    place: Place<'a>,
) -> BoxFuture<'a, Result<Option<Query>, UserError>> {
    Box::pin(async move {
        let queries = value_queries(query)?;
        if queries.is_empty() {
            return Ok(None);
        }
        let mut lists = VecDeque::new();
        for query in queries {
            lists.push_back(values_of(context, work, &query, source, place).await?);
        }
        let mut query = query.clone();
        // The visitor never breaks off.
        let _ = VisitMut::visit(&mut query, &mut Writer { lists });
        Ok(Some(query))
    })
}

/// The queries of the values of all pivots that need one, in the order they are visited.
fn value_queries(query: &Query) -> Result<Vec<Query>, UserError> {
    let mut finder = Finder::default();
    match query.visit(&mut finder) {
        ControlFlow::Break(error) => Err(error),
        ControlFlow::Continue(()) => Ok(finder.queries),
    }
}

/// Common tables of one query.
struct Frame {
    with: Option<With>,
    /// Those whose query was visited: the ones that may be named from here on.
    visible: Vec<Cte>,
    /// The others, by the address of their query.
    pending: HashMap<*const Query, Cte>,
}

/// Finds the pivots in the order they are visited, and the query of each one's values.
#[derive(Default)]
struct Finder {
    frames: Vec<Frame>,
    queries: Vec<Query>,
}

impl Visitor for Finder {
    type Break = UserError;

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<UserError> {
        let tables = query.with.iter().flat_map(|with| &with.cte_tables);
        let pending = tables.map(|table| (std::ptr::from_ref(table.query.as_ref()), table.clone()));
        self.frames.push(Frame {
            with: query.with.clone(),
            visible: Vec::new(),
            pending: pending.collect(),
        });
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, query: &Query) -> ControlFlow<UserError> {
        self.frames.pop();
        if let Some(frame) = self.frames.last_mut()
            && let Some(table) = frame.pending.remove(&std::ptr::from_ref(query))
        {
            frame.visible.push(table);
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_table_factor(&mut self, factor: &TableFactor) -> ControlFlow<UserError> {
        if let TableFactor::Pivot { table, value_column, value_source, .. } = factor {
            let query = match value_source {
                PivotValueSource::List(_) => return ControlFlow::Continue(()),
                PivotValueSource::Subquery(query) => Ok(query.as_ref().clone()),
                PivotValueSource::Any(order) => any_query(table, value_column, order.clone()),
            };
            match query {
                Ok(query) => self.queries.push(self.inside_frames(query)),
                Err(error) => return ControlFlow::Break(error),
            }
        }
        ControlFlow::Continue(())
    }
}

impl Finder {
    /// The query with the common tables it may name, those of the queries around it first. The
    /// one it stands in is not among them: its own pivot would be looked into again.
    fn inside_frames(&self, mut query: Query) -> Query {
        let own = query.with.take();
        let around = self.frames.iter().filter(|frame| !frame.visible.is_empty());
        let around = around.filter_map(|frame| {
            let with = frame.with.clone()?;
            Some(With { cte_tables: frame.visible.clone(), ..with })
        });
        for with in around.chain(own) {
            match &mut query.with {
                None => query.with = Some(with),
                Some(all) => {
                    all.recursive |= with.recursive;
                    all.cte_tables.extend(with.cte_tables);
                }
            }
        }
        query
    }
}

/// `SELECT DISTINCT column FROM table ORDER BY …`; without an order, by the column.
fn any_query(
    table: &TableFactor,
    column: &[Expr],
    order: Vec<frazil_dialect::sqlparser::ast::OrderByExpr>,
) -> Result<Query, UserError> {
    let [column] = column else {
        return Err(UserError::unsupported("PIVOT FOR several columns"));
    };
    let mut query = *frazil_dialect::parse_query("SELECT DISTINCT 1 FROM t ORDER BY 1")?;
    let SetExpr::Select(select) = query.body.as_mut() else {
        return Err(UserError::internal("a SELECT is not one"));
    };
    select.projection = vec![SelectItem::UnnamedExpr(column.clone())];
    if let Some(from) = select.from.first_mut() {
        from.relation = table.clone();
    }
    if !order.is_empty() {
        query.order_by = Some(OrderBy { kind: OrderByKind::Expressions(order), interpolate: None });
    }
    Ok(query)
}

async fn values_of(
    context: &StatementContext,
    work: &mut Work,
    query: &Query,
    source: &str,
    place: Place<'_>,
) -> Result<Vec<ExprWithAlias>, UserError> {
    let planned = match place {
        Place::Statement => plan(context, work, query, source).await?,
        Place::View { owner, depth } => {
            let mut planned = plan_in_view(context, work, query, source, owner, depth).await?;
            for access in &mut planned.accesses {
                access.on_behalf_of.get_or_insert_with(|| owner.to_string());
            }
            planned
        }
    };
    let [column] = planned.columns.as_slice() else {
        return Err(UserError::syntax("the query in IN of a PIVOT must have one column"));
    };
    let sql_type = column.sql_type.clone();
    let operators = operators(context, work, &planned).await?;
    let batches = run_to_batches(&context.runtime, operators, &context.cancel).await?;
    let mut list = Vec::new();
    for batch in batches {
        let column = batch.column(0);
        for row in 0..column.len() {
            if column.is_null(row) {
                continue;
            }
            let value = ScalarValue::try_from_array(column, row).map_err(UserError::internal)?;
            let value = literal(context, TypedExpr::literal(value, sql_type.clone()))?;
            if !list.contains(&value) {
                list.push(value);
            }
            if list.len() > VALUES_MAX {
                return Err(UserError::new(
                    frazil_common::Code::ResourceLimit,
                    format!("a PIVOT makes more than {VALUES_MAX} columns"),
                ));
            }
        }
    }
    if list.is_empty() {
        return Err(UserError::new(
            frazil_common::Code::InvalidStatement,
            "a PIVOT has no values to make columns of",
        ));
    }
    Ok(list)
}

/// A value as it would be written; its column is named by its text.
fn literal(context: &StatementContext, value: TypedExpr) -> Result<ExprWithAlias, UserError> {
    let sql_type = value.sql_type.clone();
    let text = cast(value, &SqlType::TEXT, CastMode::Explicit, &context.facts)?;
    let text = text
        .as_text_literal()
        .ok_or_else(|| UserError::unsupported(format!("PIVOT by values of {sql_type}")))?;
    let quoted = Expr::Value(Value::SingleQuotedString(text.clone()).into());
    let (expr, name) = match sql_type {
        SqlType::Number { .. } => (Expr::Value(Value::Number(text.clone(), false).into()), text),
        SqlType::Boolean => {
            let name = text.to_uppercase();
            (Expr::Value(Value::Boolean(text == "true").into()), name)
        }
        SqlType::Date => {
            let name = quoted.to_string();
            let cast = Expr::Cast {
                kind: CastKind::Cast,
                expr: Box::new(quoted),
                data_type: DataType::Date,
                array: false,
                format: None,
            };
            (cast, name)
        }
        _ => {
            let name = quoted.to_string();
            (quoted, name)
        }
    };
    Ok(ExprWithAlias { expr, alias: Some(Ident::with_quote('"', name)) })
}

/// Writes the lists into the pivots, in the order [`Finder`] met them.
struct Writer {
    lists: VecDeque<Vec<ExprWithAlias>>,
}

impl VisitorMut for Writer {
    type Break = ();

    fn pre_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<()> {
        if let TableFactor::Pivot { value_source, .. } = factor
            && !matches!(value_source, PivotValueSource::List(_))
            && let Some(list) = self.lists.pop_front()
        {
            *value_source = PivotValueSource::List(list);
        }
        ControlFlow::Continue(())
    }
}
