//! The policies and tags in what GET_DDL answers.

use std::collections::HashMap;
use std::sync::Arc;

use frazil_catalog::CatalogView;
use frazil_catalog::account::{
    AccountView, GrantTarget, MaskingPolicy, Object, ObjectBody, ObjectFilter, PolicyReference,
    RowAccessPolicy, Tag,
};
use frazil_common::{ObjectKind, Privilege, UserError, quote_identifier};

use crate::statements::context::StatementContext;
use crate::statements::ddl::literal;
use crate::statements::lookup::{Target, of_schema_object};

/// In the place of a policy the role may not know of, as Snowflake writes it.
const UNKNOWN_POLICY: &str = "#UNKNOWN_POLICY";
const UNKNOWN_TAG: &str = "#UNKNOWN_TAG = '#UNKNOWN_VALUE'";

/// What is on which objects, with the names of the policies and tags that the role may know of.
pub(super) struct GovernanceTexts {
    account: Arc<AccountView>,
    names: HashMap<GrantTarget, String>,
}

impl GovernanceTexts {
    pub async fn load(context: &StatementContext, view: &CatalogView) -> Result<Self, UserError> {
        let account = context.shared.accounts.view().await?;
        let mut texts = GovernanceTexts { account, names: HashMap::new() };
        let (masking, rows) = (Privilege::ApplyMaskingPolicy, Privilege::ApplyRowAccessPolicy);
        texts.add::<MaskingPolicy>(context, view, Target::MaskingPolicy, masking).await?;
        texts.add::<RowAccessPolicy>(context, view, Target::RowAccessPolicy, rows).await?;
        texts.add::<Tag>(context, view, Target::Tag, Privilege::ApplyTag).await?;
        Ok(texts)
    }

    async fn add<B: ObjectBody>(
        &mut self,
        context: &StatementContext,
        view: &CatalogView,
        target: fn(Object<B>) -> Target,
        global: Privilege,
    ) -> Result<(), UserError> {
        let everywhere = context.model.has_global(&context.roles, global);
        for object in context.shared.accounts.objects::<B>(ObjectFilter::default()).await? {
            let of = object.place.schema_id;
            let schema = view.schemas().find(|schema| schema.schema_id == of);
            let Some(schema) = schema else { continue };
            let found = of_schema_object(view, schema, object, target);
            if everywhere || found.is_visible(context) {
                self.names.insert((found.object.kind, found.object.id), found.object.name);
            }
        }
        Ok(())
    }

    fn mask_on(&self, on: GrantTarget, column: i64) -> Option<&PolicyReference> {
        let references = self.account.policies_on(on.0, on.1);
        references
            .iter()
            .find(|own| own.policy.0 == ObjectKind::MaskingPolicy && own.column == column)
    }

    /// The full name of the masking policy that a column has of its own.
    pub fn mask_name(&self, on: GrantTarget, column: i64) -> Option<&str> {
        Some(self.policy(self.mask_on(on, column)?.policy))
    }

    /// `WITH MASKING POLICY …` of a column, or nothing.
    pub fn mask(&self, on: GrantTarget, column: i64, columns: &[(i64, &str)]) -> String {
        let Some(reference) = self.mask_on(on, column) else { return String::new() };
        let using = match reference.arguments.len() {
            1 => String::new(),
            _ => format!(" USING ({})", listed(&reference.arguments, columns)),
        };
        format!(" WITH MASKING POLICY {}{using}", self.policy(reference.policy))
    }

    /// `WITH ROW ACCESS POLICY …` of a table or view, or nothing.
    pub fn rows(&self, on: GrantTarget, columns: &[(i64, &str)]) -> String {
        let references = self.account.policies_on(on.0, on.1);
        let reference = references.iter().find(|own| own.policy.0 == ObjectKind::RowAccessPolicy);
        reference.map_or_else(String::new, |reference| {
            let arguments = listed(&reference.arguments, columns);
            let policy = self.policy(reference.policy);
            format!(" WITH ROW ACCESS POLICY {policy} ON ({arguments})")
        })
    }

    /// `WITH TAG (…)` of an object, or with a column that is not 0 of that; or nothing.
    pub fn tags(&self, on: GrantTarget, column: i64) -> String {
        let values: Vec<String> = self
            .account
            .tags_on(on.0, on.1)
            .iter()
            .filter(|reference| reference.column == column)
            .map(|reference| match self.names.get(&(ObjectKind::Tag, reference.tag)) {
                Some(name) => format!("{name} = {}", literal(&reference.value)),
                None => UNKNOWN_TAG.to_string(),
            })
            .collect();
        if values.is_empty() { String::new() } else { format!(" WITH TAG ({})", values.join(", ")) }
    }

    fn policy(&self, policy: GrantTarget) -> &str {
        self.names.get(&policy).map_or(UNKNOWN_POLICY, String::as_str)
    }
}

fn listed(ids: &[i64], columns: &[(i64, &str)]) -> String {
    let name = |id: &i64| columns.iter().find(|(known, _)| known == id).map(|(_, name)| *name);
    let names: Vec<String> = ids.iter().filter_map(name).map(quote_identifier).collect();
    names.join(", ")
}
