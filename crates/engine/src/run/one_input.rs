//! What the operators of our own over one input have in common.

/// The methods of `ExecutionPlan` by which an operator with fields `input` and `properties` keeps the order
/// of its rows (or is taken for one that does not), and is made anew over another input: `new` makes it of
/// itself and that one.
macro_rules! one_input {
    ($name:expr, $new:expr) => {
        $crate::run::one_input::one_input!($name, $new, maintains_input_order: true);
    };
    ($name:expr, $new:expr, maintains_input_order: $order:expr) => {
        fn properties(&self) -> &std::sync::Arc<datafusion::physical_plan::PlanProperties> {
            &self.properties
        }

        fn maintains_input_order(&self) -> Vec<bool> {
            vec![$order]
        }

        fn children(&self) -> Vec<&std::sync::Arc<dyn datafusion::physical_plan::ExecutionPlan>> {
            vec![&self.input]
        }

        fn replace_children(
            self: std::sync::Arc<Self>,
            children: Vec<std::sync::Arc<dyn datafusion::physical_plan::ExecutionPlan>>,
            _: datafusion::physical_plan::ReplaceChildrenOptions,
        ) -> datafusion::error::Result<std::sync::Arc<dyn datafusion::physical_plan::ExecutionPlan>>
        {
            let new: fn(&Self, _) -> Self = $new;
            match children.into_iter().next() {
                Some(input) => Ok(std::sync::Arc::new(new(&self, input))),
                None => Err(datafusion::error::DataFusionError::Internal(format!(
                    "{} has one input",
                    $name
                ))),
            }
        }

        fn with_new_children(
            self: std::sync::Arc<Self>,
            children: Vec<std::sync::Arc<dyn datafusion::physical_plan::ExecutionPlan>>,
        ) -> datafusion::error::Result<std::sync::Arc<dyn datafusion::physical_plan::ExecutionPlan>>
        {
            use datafusion::physical_plan::execution_plan::ChildrenPropertiesMode;
            let options = datafusion::physical_plan::ReplaceChildrenOptions::new(
                ChildrenPropertiesMode::Recompute,
            );
            self.replace_children(children, options)
        }
    };
}

/// The method of `ExecutionPlan` that an operator has which computes no expression.
macro_rules! no_expressions {
    () => {
        fn apply_expressions(
            &self,
            _: &mut dyn FnMut(
                &std::sync::Arc<dyn datafusion::physical_expr::PhysicalExpr>,
            ) -> datafusion::error::Result<
                datafusion::common::tree_node::TreeNodeRecursion,
            >,
        ) -> datafusion::error::Result<datafusion::common::tree_node::TreeNodeRecursion> {
            Ok(datafusion::common::tree_node::TreeNodeRecursion::Continue)
        }
    };
}

/// The methods of `ExecutionPlan` by which an operator that hands on all rows of its input, and no others,
/// hands on filters to it too.
macro_rules! hands_on_filters {
    () => {
        fn gather_filters_for_pushdown(
            &self,
            _: datafusion::physical_plan::filter_pushdown::FilterPushdownPhase,
            parent_filters: Vec<std::sync::Arc<dyn datafusion::physical_expr::PhysicalExpr>>,
            _: &datafusion::config::ConfigOptions,
        ) -> datafusion::error::Result<
            datafusion::physical_plan::filter_pushdown::FilterDescription,
        > {
            datafusion::physical_plan::filter_pushdown::FilterDescription::from_children(
                parent_filters,
                &self.children(),
            )
        }

        fn handle_child_pushdown_result(
            &self,
            _: datafusion::physical_plan::filter_pushdown::FilterPushdownPhase,
            result: datafusion::physical_plan::filter_pushdown::ChildPushdownResult,
            _: &datafusion::config::ConfigOptions,
        ) -> datafusion::error::Result<
            datafusion::physical_plan::filter_pushdown::FilterPushdownPropagation<
                std::sync::Arc<dyn datafusion::physical_plan::ExecutionPlan>,
            >,
        > {
            Ok(datafusion::physical_plan::filter_pushdown::FilterPushdownPropagation::if_all(
                result,
            ))
        }
    };
}

/// `DisplayAs` of an operator that is told by its name alone.
macro_rules! shown_by_name {
    ($operator:ty, $name:expr) => {
        impl datafusion::physical_plan::DisplayAs for $operator {
            fn fmt_as(
                &self,
                _: datafusion::physical_plan::DisplayFormatType,
                f: &mut std::fmt::Formatter<'_>,
            ) -> std::fmt::Result {
                f.write_str($name)
            }
        }
    };
}

pub(crate) use {hands_on_filters, no_expressions, one_input, shown_by_name};
