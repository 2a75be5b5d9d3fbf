//! The object in the bucket that says which control plane's it is.

use serde::{Deserialize, Serialize};
use uuid::Uuid;
use yuantus_storage::{Error, ObjectStore, Result};

/// The object's key.
const KEY: &str = "control-plane/plane.json";

#[derive(Serialize, Deserialize)]
struct Mark {
    plane: Uuid,
}

/// Whose the bucket is; `None` where nothing says so. A mark that cannot be
/// read is nobody's: the nil UUID.
pub async fn read(store: &ObjectStore) -> Result<Option<Uuid>> {
    match store.get(KEY).await {
        Ok(text) => {
            let mark = serde_json::from_slice::<Mark>(&text);
            Ok(Some(mark.map_or(Uuid::nil(), |mark| mark.plane)))
        }
        Err(Error::NotFound { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Says that the bucket is this plane's. The same bytes each time, so processes
/// of one plane that do it at once agree.
pub async fn write(store: &ObjectStore, plane: Uuid) -> Result<()> {
    // A struct of a UUID always serialises.
    let mark = serde_json::to_vec(&Mark { plane }).unwrap_or_default();
    store.put(KEY, mark.into()).await
}
