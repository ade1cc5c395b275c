//! SAMPLE: a share of the rows, or a number of rows.

use std::sync::Arc;

use datafusion::logical_expr::{LogicalPlan, LogicalPlanBuilder, Projection, SortExpr, lit};
use frazil_common::{Code, SqlType, UserError};
use frazil_functions::TypedExpr;
use sqlparser::ast::{self, Spanned};

use crate::binder::Binder;
use crate::error::{Result, position, refuse};
use crate::from::Input;

/// Most rows of a sample of a fixed size.
const SAMPLE_ROWS_MAX: i64 = 1_000_000;

impl Binder<'_> {
    pub(crate) fn sampled(
        &mut self,
        input: Input,
        sample: Option<&ast::TableSampleKind>,
    ) -> Result<Input> {
        let sample = match sample {
            None => return Ok(input),
            Some(
                ast::TableSampleKind::BeforeTableAlias(sample)
                | ast::TableSampleKind::AfterTableAlias(sample),
            ) => sample,
        };
        let ast::TableSample { modifier: _, name, quantity, seed, bucket, offset } =
            sample.as_ref();
        refuse(bucket.is_some(), "SAMPLE (BUCKET …)")?;
        refuse(offset.is_some(), "SAMPLE … OFFSET")?;
        let blocks =
            matches!(name, Some(ast::TableSampleMethod::System | ast::TableSampleMethod::Block));
        let Some(ast::TableSampleQuantity { parenthesized: _, value, unit }) = quantity else {
            return Err(UserError::syntax("SAMPLE needs a number").into());
        };
        let rows = match unit {
            None | Some(ast::TableSampleUnit::Percent) => false,
            Some(ast::TableSampleUnit::Rows) => true,
        };
        refuse(rows && blocks, "SAMPLE SYSTEM of a number of rows")?;
        let wrong = |what: &str| {
            UserError::new(Code::InvalidArgument, format!("Sample size must be {what}"))
                .at(position(value.span()))
        };
        let size = self.constant(value, "SAMPLE")?;
        let seed = match seed {
            None => None,
            Some(ast::TableSampleSeed { modifier: _, value }) => {
                refuse(rows, "SAMPLE of a number of rows with SEED")?;
                let seed = self.constant(&ast::Expr::Value(value.clone()), "SAMPLE")?;
                Some(seed)
            }
        };
        let random = self.call("RANDOM", seed.into_iter().collect())?;
        let Input { plan, scope, lateral } = input;
        if rows {
            let count = size
                .as_integer_literal()
                .filter(|count| (0..=SAMPLE_ROWS_MAX).contains(count))
                .ok_or_else(|| wrong("between 0 and 1000000 rows"))?;
            let kept: Vec<_> = plan
                .schema()
                .columns()
                .into_iter()
                .map(datafusion::logical_expr::Expr::Column)
                .collect();
            let key = self.unique_column("sample");
            let mut exprs = kept.clone();
            exprs.push(random.expr.alias(&key));
            let plan = LogicalPlan::Projection(Projection::try_new(exprs, Arc::new(plan))?);
            let key =
                datafusion::logical_expr::Expr::Column(datafusion::common::Column::from_name(key));
            let plan = LogicalPlanBuilder::from(plan)
                .sort(vec![SortExpr::new(key, true, false)])?
                .limit(0, Some(count as usize))?
                .build()?;
            let plan = LogicalPlan::Projection(Projection::try_new(kept, Arc::new(plan))?);
            return Ok(Input { plan, scope, lateral });
        }
        let percent = self.cast_to(size, &SqlType::Float)?;
        let percent = frazil_functions::evaluate_constant(&percent)?;
        let percent = match percent {
            datafusion::common::ScalarValue::Float64(Some(p)) if (0.0..=100.0).contains(&p) => p,
            _ => return Err(wrong("between 0 and 100 percent").into()),
        };
        if percent >= 100.0 {
            return Ok(Input { plan, scope, lateral });
        }
        // RANDOM() is uniform over the signed 64-bit integers.
        let TypedExpr { expr, sql_type: _, nullable: _ } = self.cast_to(random, &SqlType::Float)?;
        let bound = (percent / 100.0 - 0.5) * 2f64.powi(64);
        let plan = LogicalPlanBuilder::from(plan).filter(expr.lt(lit(bound)))?.build()?;
        Ok(Input { plan, scope, lateral })
    }
}
