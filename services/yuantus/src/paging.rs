//! Lists that come in pages.

use clap::Args;
use tonic::Status;

/// How much of a list is read.
#[derive(Args, Clone, Copy, Debug)]
pub(crate) struct Paging {
    /// Items asked for at a time, 1 to 1000
    #[arg(long, value_name = "N", default_value_t = 200,
          value_parser = clap::value_parser!(i32).range(1..=1000))]
    page_size: i32,
    /// Show at most this many items; all if not given
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    limit: Option<u32>,
}

impl Paging {
    /// Everything there is.
    pub(crate) const ALL: Self = Self { page_size: 1000, limit: None };

    /// Reads pages until there are no more, or enough. `fetch` takes a page
    /// size and a page token.
    pub(crate) async fn collect<T>(
        self,
        mut fetch: impl AsyncFnMut(i32, String) -> Result<(Vec<T>, String), Status>,
    ) -> Result<Vec<T>, Status> {
        let mut items = Vec::new();
        let mut token = String::new();
        loop {
            let missing = self.limit.map(|limit| limit as usize - items.len());
            let size = missing.map_or(self.page_size, |missing| {
                self.page_size.min(i32::try_from(missing).unwrap_or(i32::MAX))
            });
            let (page, next) = fetch(size, token).await?;
            items.extend(page);
            if self.limit.is_some_and(|limit| items.len() >= limit as usize) {
                items.truncate(self.limit.unwrap_or(0) as usize);
                return Ok(items);
            }
            if next.is_empty() {
                return Ok(items);
            }
            token = next;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn read(paging: Paging, asked: &mut Vec<i32>) -> Vec<i32> {
        let fetch = async |size: i32, token: String| {
            asked.push(size);
            let from: i32 = token.parse().unwrap_or(0);
            let until = (from + size).min(10);
            let next = if until < 10 { until.to_string() } else { String::new() };
            Ok(((from..until).collect(), next))
        };
        paging.collect(fetch).await.unwrap()
    }

    #[tokio::test]
    async fn all_pages_are_read_unless_a_limit_comes_first() {
        let mut asked = Vec::new();
        let all = read(Paging { page_size: 4, limit: None }, &mut asked).await;
        assert_eq!((all, &asked), ((0..10).collect(), &vec![4, 4, 4]));
        asked.clear();
        let some = read(Paging { page_size: 4, limit: Some(5) }, &mut asked).await;
        assert_eq!((some, asked), ((0..5).collect(), vec![4, 1]));
    }
}
