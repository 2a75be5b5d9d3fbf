//! `yuantus op`: operations.

use clap::{Subcommand, ValueEnum};
use yuantus_proto::v1::{
    CancelOperationRequest, GetOperationRequest, ListOperationsRequest, Operation,
    RetryOperationRequest, operation,
};

use crate::{
    cli::{
        Session,
        arguments::{Scope, scope},
        time::time,
    },
    failure::Failure,
    output::Show,
    paging::Paging,
    progress::amount,
    wait::{Waiting, follow, succeeded, watch},
};

/// What can be done with operations.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Show operations, newest first
    List {
        /// Only this tenant's, or this org's
        #[arg(value_name = "TENANT[/ORG]", value_parser = scope)]
        scope: Option<Scope>,
        /// Only those in this state
        #[arg(long, value_enum)]
        state: Option<State>,
        /// Only those of this type, such as CreateDatabase
        #[arg(long = "type", value_name = "TYPE", default_value = "", hide_default_value = true)]
        kind: String,
        #[command(flatten)]
        paging: Paging,
    },
    /// Show one operation
    Get {
        /// The operation's id
        id: String,
    },
    /// Wait until an operation has ended; exit with 1 if it failed
    Wait {
        /// The operation's id
        id: String,
        /// Give up waiting after this many seconds; the work goes on
        #[arg(long, value_name = "SECONDS")]
        timeout: Option<u32>,
    },
    /// Show an operation at every change, until it has ended
    Watch {
        /// The operation's id
        id: String,
    },
    /// Ask an operation to stop; what it had begun is undone
    Cancel {
        /// The operation's id
        id: String,
    },
    /// Start a failed or cancelled operation again
    Retry {
        /// The operation's id
        id: String,
        #[command(flatten)]
        waiting: Waiting,
    },
}

/// Where an operation is.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum State {
    /// Waiting for a worker, its turn or its next attempt
    Pending,
    /// A worker is at it
    Running,
    /// Done
    Succeeded,
    /// Given up
    Failed,
    /// Stopped on request
    Cancelled,
}

impl From<State> for operation::State {
    fn from(state: State) -> Self {
        match state {
            State::Pending => Self::Pending,
            State::Running => Self::Running,
            State::Succeeded => Self::Succeeded,
            State::Failed => Self::Failed,
            State::Cancelled => Self::Cancelled,
        }
    }
}

impl Command {
    /// Does it.
    pub(crate) async fn run(self, session: &Session) -> Result<(), Failure> {
        let mut operations = session.client.operations();
        match self {
            Self::List { scope, state, kind, paging } => {
                let wanted = filter(scope, state, kind);
                let all = list(session, wanted, paging).await?;
                session.output.list(&all)
            }
            Self::Get { id } => session.output.one(&get(session, id).await?),
            Self::Wait { id, timeout } => {
                let operation = get(session, id).await?;
                session.output.one(&succeeded(follow(&session.client, operation, timeout).await?)?)
            }
            Self::Watch { id } => {
                let operation = get(session, id).await?;
                let output = session.output;
                if crate::wait::ended(&operation) {
                    output.next(&operation)?;
                }
                let mut seen = |operation: &Operation| output.next(operation);
                succeeded(watch(&session.client, operation, &mut seen).await?).map(drop)
            }
            Self::Cancel { id } => {
                let request = CancelOperationRequest { operation_id: id };
                session.output.one(&session.answer(operations.cancel_operation(request).await)?)
            }
            Self::Retry { id, waiting } => {
                let request = RetryOperationRequest { operation_id: id };
                let operation = session.answer(operations.retry_operation(request).await)?;
                session.finish(operation, waiting, async |ended| Ok(ended.clone())).await
            }
        }
    }
}

fn filter(scope: Option<Scope>, state: Option<State>, kind: String) -> ListOperationsRequest {
    let scope = scope.unwrap_or(Scope { tenant: String::new(), org: String::new() });
    ListOperationsRequest {
        tenant_id: scope.tenant,
        org_id: scope.org,
        state: state.map_or(operation::State::Unspecified, Into::into).into(),
        r#type: kind,
        ..ListOperationsRequest::default()
    }
}

async fn get(session: &Session, operation_id: String) -> Result<Operation, Failure> {
    let request = GetOperationRequest { operation_id };
    session.answer(session.client.operations().get_operation(request).await)
}

async fn list(
    session: &Session,
    wanted: ListOperationsRequest,
    paging: Paging,
) -> Result<Vec<Operation>, Failure> {
    let mut operations = session.client.operations();
    let fetch = async |page_size, page_token| {
        let request = ListOperationsRequest { page_size, page_token, ..wanted.clone() };
        let page = operations.list_operations(request).await?.into_inner();
        Ok((page.operations, page.next_page_token))
    };
    paging.collect(fetch).await.map_err(|status| session.client.refused(status))
}

impl Show for Operation {
    const COLUMNS: &'static [&'static str] =
        &["OPERATION", "TYPE", "ORG", "STATE", "STEP", "ATTEMPT", "CREATED"];

    fn cells(&self) -> Vec<String> {
        vec![
            self.id.clone(),
            self.r#type.clone(),
            format!("{}/{}", self.tenant_id, self.org_id),
            self.state().as_str_name().to_owned(),
            self.step.clone(),
            format!("{}/{}", self.attempt, self.max_attempts),
            time(self.created_at.as_ref()),
        ]
    }

    fn name(&self) -> String {
        self.id.clone()
    }

    fn details(&self) -> Vec<(&'static str, String)> {
        let steps = self.steps.iter();
        let steps = steps.map(|step| format!("{} {}", step.state().as_str_name(), step.name));
        let error = self.error.as_ref();
        vec![
            ("STARTED", time(self.started_at.as_ref())),
            ("FINISHED", time(self.finished_at.as_ref())),
            ("TARGET", self.target.clone()),
            ("STEPS", steps.collect::<Vec<_>>().join("\n")),
            (
                "PROGRESS",
                self.progress.as_ref().filter(|p| p.done > 0).map(amount).unwrap_or_default(),
            ),
            ("UNDOING", if self.undoing { "yes" } else { "" }.to_owned()),
            ("NEXT ATTEMPT", time(self.next_attempt_at.as_ref())),
            ("CANCEL", if self.cancel_requested { "requested" } else { "" }.to_owned()),
            ("REASON", self.reason.clone()),
            ("WARNINGS", self.warnings.join("\n")),
            ("ERROR", error.map(|e| format!("{} ({})", e.message, e.reason)).unwrap_or_default()),
        ]
    }
}

#[cfg(test)]
mod tests {
    use yuantus_proto::v1::{OperationError, OperationProgress, OperationStep, operation_step};

    use crate::output::snapshot::formats;

    use super::*;

    #[test]
    fn operations_in_every_format() {
        let step = |name: &str, state: operation_step::State| OperationStep {
            name: name.into(),
            state: state.into(),
        };
        let operation = Operation {
            id: "0197".into(),
            r#type: "CreateBackup".into(),
            tenant_id: "tenant-1".into(),
            org_id: "org-1".into(),
            state: operation::State::Failed.into(),
            step: "dump".into(),
            steps: vec![
                step("prepare", operation_step::State::Done),
                step("dump", operation_step::State::Running),
            ],
            progress: Some(OperationProgress { done: 1 << 20, total: 0, unit: "bytes".into() }),
            error: Some(OperationError { reason: "S3".into(), message: "S3 answered 500".into() }),
            attempt: 8,
            max_attempts: 8,
            target: "tenants/tenant-1/orgs/org-1/backups/0198".into(),
            created_at: Some(pbjson_types::Timestamp { seconds: 1_760_000_000, nanos: 0 }),
            warnings: vec!["role `r` does not exist".into()],
            ..Operation::default()
        };
        insta::assert_snapshot!(formats(&[operation]));
    }
}
