//! [`Operation`]: how an operation is described.

use http::Method;
use serde_json::{Value, json};

use super::{
    super::{paging, routes::Access},
    responses::{self, json_body, reference, schema},
    security,
};
use crate::error::ErrorKind;

/// The description of an endpoint. The rest follows from its [`Access`].
pub(super) struct Operation {
    id: &'static str,
    tag: &'static str,
    summary: &'static str,
    parameters: Vec<Value>,
    body: Option<Value>,
    success: Vec<(&'static str, Value)>,
    /// The errors of the endpoint itself.
    errors: &'static [ErrorKind],
    /// True if a request with a long body is refused.
    limits_body: bool,
    /// The schema of another body of a 503 than a problem document.
    body_of_503: Option<&'static str>,
    /// Appended to the id, which must be unique.
    suffix: String,
}

impl Operation {
    pub(super) fn new(id: &'static str, tag: &'static str, summary: &'static str) -> Self {
        Self {
            id,
            tag,
            summary,
            parameters: Vec::new(),
            body: None,
            success: Vec::new(),
            errors: &[],
            limits_body: true,
            body_of_503: None,
            suffix: String::new(),
        }
    }

    pub(super) fn parameters(mut self, names: &[&str]) -> Self {
        self.parameters = names.iter().map(|name| reference("parameters", name)).collect();
        self
    }

    pub(super) fn json(mut self, required: bool, name: &str) -> Self {
        self.body = Some(
            json!({ "required": required, "content": { "application/json": { "schema": schema(name) } } }),
        );
        self
    }

    pub(super) fn form(mut self, name: &str) -> Self {
        let content = json!({ "application/x-www-form-urlencoded": { "schema": schema(name) } });
        self.body = Some(json!({ "required": true, "content": content }));
        self
    }

    pub(super) fn returns(mut self, status: &'static str, response: Value) -> Self {
        self.success.push((status, response));
        self
    }

    /// A page of a list.
    pub(super) fn returns_page(self, of: &str) -> Self {
        let list = json!({ "type": "array", "items": schema(of), "maxItems": paging::MAX_LIMIT });
        self.returns("200", json_body("A page of the list.", list))
            .header("Link", reference("headers", "NextPage"))
    }

    /// 200, or 202 if the replicas that the server waits for did not confirm it in time.
    pub(super) fn revokes(self, name: &str) -> Self {
        let unconfirmed = "Revoked, but not confirmed by the replicas in time. Send the same request again.";
        self.returns("200", json_body("Revoked.", schema(name)))
            .returns("202", json_body(unconfirmed, schema(name)))
    }

    pub(super) fn link(mut self, links: Value) -> Self {
        if let Some((_, response)) = self.success.last_mut() {
            response["links"] = links;
        }
        self
    }

    pub(super) fn header(mut self, name: &str, header: Value) -> Self {
        if let Some((_, response)) = self.success.last_mut() {
            response["headers"][name] = header;
        }
        self
    }

    /// A 503 can also have this body, without `Retry-After`.
    pub(super) fn also_fails_with(mut self, name: &'static str) -> Self {
        self.body_of_503 = Some(name);
        self
    }

    pub(super) const fn reads_no_body(mut self) -> Self {
        self.limits_body = false;
        self
    }

    pub(super) const fn fails(mut self, errors: &'static [ErrorKind]) -> Self {
        self.errors = errors;
        self
    }

    /// Makes it the operation of one of the methods of `/v1/auth`, or of the paths below it.
    pub(super) fn set_method_of_forward_auth(&mut self, method: &Method, below: bool) {
        let (first, rest) = method.as_str().split_at(1);
        self.suffix = format!("{first}{}", rest.to_ascii_lowercase());
        if below {
            self.set_below();
        }
    }

    /// Makes it the operation of the paths below another one.
    pub(super) fn set_below(&mut self) {
        self.suffix.push_str("Below");
        self.parameters.push(reference("parameters", "path"));
    }

    pub(super) fn to_json(&self, access: Access) -> Value {
        let mut errors = self.errors.to_vec();
        errors.extend(self.limits_body.then_some(ErrorKind::PayloadTooLarge));
        let mut responses = responses::errors(access, &errors);
        if let Some(name) = self.body_of_503 {
            let response = &mut responses["503"];
            response["content"]["application/json"] = json!({ "schema": schema(name) });
            response["headers"]["Retry-After"] = reference("headers", "RetryAfterOfSome");
        }
        for (status, success) in &self.success {
            responses.insert((*status).to_owned(), success.clone());
        }
        let mut operation = json!({
            "operationId": format!("{}{}", self.id, self.suffix),
            "tags": [self.tag],
            "summary": self.summary,
            "security": security(access),
            "responses": responses,
        });
        if !self.parameters.is_empty() {
            operation["parameters"] = json!(self.parameters);
        }
        if let Some(body) = &self.body {
            operation["requestBody"] = body.clone();
        }
        operation
    }
}
