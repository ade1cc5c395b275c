//! One write transaction on the account's objects: users, roles, grants, warehouses, stages …

use std::sync::Arc;

use frazil_catalog::WriteTransaction;
use frazil_catalog::account::Writer;
use frazil_common::{Code, UserError};
use frazil_governance::system;

use frazil_catalog::account::AccountStore;

use crate::session::committing::Committing;
use crate::statements::context::StatementContext;

/// Changes that become visible together at [`AccountChange::commit`]; dropping it undoes them.
pub(crate) struct AccountChange {
    transaction: WriteTransaction,
    /// Whether it must leave an enabled user who holds ACCOUNTADMIN.
    keeps_administrator: bool,
    /// Of the statement whose change it is.
    committing: Option<Arc<Committing>>,
}

impl AccountChange {
    /// Waits for its turn: there is one writer at a time.
    pub async fn begin(context: &StatementContext) -> Result<Self, UserError> {
        let committing = Some(context.committing.clone());
        Ok(AccountChange { committing, ..Self::on(&context.shared.accounts).await? })
    }

    /// The same outside a statement.
    pub async fn on(accounts: &AccountStore) -> Result<Self, UserError> {
        let transaction = accounts.begin().await?;
        Ok(AccountChange { transaction, keeps_administrator: false, committing: None })
    }

    /// A change that may take roles from users, or users away. It is refused where no enabled user would
    /// be left who holds ACCOUNTADMIN: nobody could give the role back.
    pub async fn keeping_administrator(context: &StatementContext) -> Result<Self, UserError> {
        let mut change = Self::begin(context).await?;
        // Who has none already can lose none.
        change.keeps_administrator = change.has_administrator().await?;
        Ok(change)
    }

    /// Takes the turn of a change that was checked against the policies, tags and roles of the statement's
    /// start.
    ///
    /// # Errors
    /// 000625 where any of them has changed since; the statement is then tried again.
    pub async fn claim_rules(&mut self, context: &StatementContext) -> Result<(), UserError> {
        if self.writer().claim_rules(context.model.rules_version()).await? {
            return Ok(());
        }
        context.record.lock().lost_race = true;
        Err(UserError::new(
            Code::TransactionConflict,
            "Policies, tags or roles were changed while the statement ran. Run it again.",
        ))
    }

    async fn has_administrator(&mut self) -> Result<bool, UserError> {
        Ok(self.writer().has_enabled_holder(system::ACCOUNTADMIN).await?)
    }

    pub fn writer(&mut self) -> Writer<'_> {
        Writer::on(&mut self.transaction)
    }

    pub async fn commit(mut self) -> Result<(), UserError> {
        if self.keeps_administrator && !self.has_administrator().await? {
            return Err(UserError::new(
                Code::InvalidStatement,
                "No enabled user would be left who holds role ACCOUNTADMIN. Grant it to another user \
                 first.",
            ));
        }
        if let Some(committing) = &self.committing {
            committing.begin().await;
        }
        Ok(self.transaction.commit().await?)
    }
}
