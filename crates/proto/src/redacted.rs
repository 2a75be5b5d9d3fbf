//! `Debug` of the messages that hold secrets, so that no log can print one.

use std::fmt;

use crate::v1::{
    BackupKey, Connection, CreateApiKeyResponse, CreateTenantRequest, CreateUserRequest,
    DownloadUrl, LoginRequest, LoginResponse, LoginToPlatformRequest, RefreshTokenRequest,
    ResetPasswordRequest,
};

/// Stands for a secret: says whether there is one.
struct Redacted<'a>(&'a str);

impl fmt::Debug for Redacted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_empty() { "\"\"" } else { "[REDACTED]" })
    }
}

macro_rules! redact {
    ($message:ident shows $($shown:ident),*; hides $($hidden:ident),+) => {
        impl fmt::Debug for $message {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct(stringify!($message))
                    $(.field(stringify!($shown), &self.$shown))*
                    $(.field(stringify!($hidden), &Redacted(&self.$hidden)))+
                    .finish()
            }
        }
    };
}

redact!(LoginRequest shows tenant_id, username, org_id, email; hides password);
redact!(LoginToPlatformRequest shows username, email; hides password);
redact!(LoginResponse
    shows token_type, expires_in, tenant_id, user_id; hides access_token, refresh_token);
redact!(RefreshTokenRequest shows; hides refresh_token);
redact!(Connection shows host, port, database, username; hides password, url);
redact!(CreateApiKeyResponse shows api_key; hides secret);
redact!(BackupKey shows repository, snapshot_id, dump_path; hides password);
redact!(CreateTenantRequest
    shows id, name, plan, admin_username, admin_email, request_id; hides admin_password);
redact!(CreateUserRequest
    shows tenant_id, username, email, is_superuser, user_id, name; hides password);
redact!(DownloadUrl shows expires_in; hides url, head_url);
redact!(ResetPasswordRequest shows tenant_id, user_id; hides password);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_says_that_there_is_a_password_but_not_which() {
        let login = LoginRequest { password: "hunter2".into(), ..LoginRequest::default() };
        let shown = format!("{login:?}");
        assert!(shown.contains("[REDACTED]") && !shown.contains("hunter2"), "{shown}");
    }
}
