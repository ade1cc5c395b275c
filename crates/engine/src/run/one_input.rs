//! What the operators of our own over one input have in common.

/// The methods of `ExecutionPlan` by which an operator with fields `input` and `properties` keeps the order
/// of its rows, and is made anew over another input: `new` makes it of itself and that one.
macro_rules! one_input {
    ($name:expr, $new:expr) => {
        fn properties(&self) -> &std::sync::Arc<datafusion::physical_plan::PlanProperties> {
            &self.properties
        }

        fn maintains_input_order(&self) -> Vec<bool> {
            vec![true]
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

pub(crate) use {no_expressions, one_input};
