//! One write transaction on the account's objects: users, roles, grants, warehouses, stages …

use frazil_catalog::WriteTransaction;
use frazil_catalog::account::Writer;
use frazil_common::UserError;

use frazil_catalog::account::AccountStore;

use crate::statements::context::StatementContext;

/// Changes that become visible together at [`AccountChange::commit`]; dropping it undoes them.
pub(crate) struct AccountChange {
    transaction: WriteTransaction,
}

impl AccountChange {
    /// Waits for its turn: there is one writer at a time.
    pub async fn begin(context: &StatementContext) -> Result<Self, UserError> {
        Self::on(&context.shared.accounts).await
    }

    /// The same outside a statement.
    pub async fn on(accounts: &AccountStore) -> Result<Self, UserError> {
        Ok(AccountChange { transaction: accounts.begin().await? })
    }

    pub fn writer(&mut self) -> Writer<'_> {
        Writer::on(&mut self.transaction)
    }

    pub async fn commit(self) -> Result<(), UserError> {
        Ok(self.transaction.commit().await?)
    }
}
