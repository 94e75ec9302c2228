//! `limit`, `cursor` and the `Link` to the next page.

use super::input::Query;
use crate::{
    error::AuthError,
    store::{InvalidCursor, Page, PageRequest},
};

pub(super) const DEFAULT_LIMIT: usize = 100;
pub(super) const MAX_LIMIT: usize = 500;
/// The maximum number of empty pages that one request skips.
const MAX_EMPTY_PAGES: usize = 8;

/// The page that a request selects.
pub(super) struct Paging<C> {
    pub(super) request: PageRequest<C>,
}

impl<C: Copy> Paging<C> {
    pub(super) fn read(
        query: &Query,
        decode: impl FnOnce(&str) -> Result<C, InvalidCursor>,
    ) -> Result<Self, AuthError> {
        let limit = query.parse("limit", |text| match text.parse() {
            Ok(limit) if (1..=MAX_LIMIT).contains(&limit) => Ok(limit),
            _ => Err(format!("must be a number from 1 to {MAX_LIMIT}")),
        })?;
        let after = query.parse("cursor", decode)?;
        Ok(Self {
            request: PageRequest {
                after,
                limit: limit.unwrap_or(DEFAULT_LIMIT),
            },
        })
    }

    /// The query of the next page.
    pub(super) fn next(&self, filters: &[(&str, String)], cursor: &str) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.extend_pairs(filters);
        query.append_pair("limit", &self.request.limit.to_string());
        query.append_pair("cursor", cursor);
        query.finish()
    }
}

/// Reads pages until one has an item, or the limit of empty pages is reached.
pub(super) async fn first_filled<T, C, E, F>(
    mut request: PageRequest<C>,
    read: impl Fn(PageRequest<C>) -> F,
) -> Result<Page<T, C>, AuthError>
where
    C: Copy,
    AuthError: From<E>,
    F: Future<Output = Result<Page<T, C>, E>>,
{
    let mut page = read(request).await?;
    for _ in 0..MAX_EMPTY_PAGES {
        if !page.items.is_empty() || page.next.is_none() {
            break;
        }
        request.after = page.next;
        page = read(request).await?;
    }
    Ok(page)
}
