//! What the operators of our own over one input have in common.

/// The methods of `ExecutionPlan` by which an operator with a field `input` keeps the order of its rows,
/// and is made anew over another one: `new` makes it of itself and the new input.
macro_rules! one_input {
    ($name:expr, $new:expr) => {
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

pub(crate) use one_input;
