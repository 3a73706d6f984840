//! A route's documentation. The arguments of its handler add what follows from them ([`Argument`](crate::http::argument::Argument)); its author adds the rest.

use bmap_model::problem_code::ProblemCode;
use http::StatusCode;
use utoipa::openapi::path::{Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::request_body::RequestBody;
use utoipa::openapi::response::Response;
use utoipa::openapi::schema::{Object, Schema, SchemaType, Type};
use utoipa::openapi::{Content, Header, Ref, RefOr, Required};
use utoipa::{IntoParams, ToSchema};

/// A named schema.
pub type Named = (String, RefOr<Schema>);

/// One route's documentation: what it takes, what it answers, and what it refuses with.
///
/// Method and path stand in `router.rs`. Problems that follow from the route's `Access`, from its body and from the layers around every route are added where the
/// document is put together; see `problems.rs`.
#[derive(Clone)]
pub struct Doc {
    pub(crate) summary: &'static str,
    pub(crate) description: Option<&'static str>,
    pub(crate) tag: Option<&'static str>,
    pub(crate) parameters: Vec<Parameter>,
    pub(crate) body: Option<RequestBody>,
    pub(crate) answers: Vec<(u16, Response)>,
    pub(crate) refusals: Vec<ProblemCode>,
    pub(crate) schemas: Vec<Named>,
    pub(crate) alternatives: Vec<Alternative>,
}

/// What may take the place of the credential that a route's `Access` asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Alternative {
    /// A proof in its fields.
    Nothing,
    /// A signature with a tool's token.
    ToolToken,
    /// A signature with a tool's link key.
    LinkKey,
}

impl Doc {
    /// A route, in one line.
    #[must_use]
    pub fn new(summary: &'static str) -> Self {
        Self {
            summary,
            description: None,
            tag: None,
            parameters: Vec::new(),
            body: None,
            answers: Vec::new(),
            refusals: Vec::new(),
            schemas: Vec::new(),
            alternatives: Vec::new(),
        }
    }

    /// More about it, in Markdown.
    #[must_use]
    pub fn about(mut self, description: &'static str) -> Self {
        self.description = Some(description);
        self
    }

    /// The group that it is shown in; without this the first part of its path.
    #[must_use]
    pub fn tag(mut self, tag: &'static str) -> Self {
        self.tag = Some(tag);
        self
    }

    /// Takes a JSON body.
    #[must_use]
    pub fn takes<T: ToSchema>(self) -> Self {
        self.takes_as::<T>("application/json")
    }

    /// Takes a JSON body, or none.
    #[must_use]
    pub fn may_take<T: ToSchema>(self) -> Self {
        let mut doc = self.takes_as::<T>("application/json");
        if let Some(body) = &mut doc.body {
            body.required = Some(Required::False);
        }
        doc
    }

    /// Takes a form.
    #[must_use]
    pub fn takes_form<T: ToSchema>(self) -> Self {
        self.takes_as::<T>("application/x-www-form-urlencoded")
    }

    fn takes_as<T: ToSchema>(mut self, media_type: &'static str) -> Self {
        let schema = self.reference::<T>();
        let body = self.body.take().unwrap_or_default();
        let mut body = utoipa::openapi::request_body::RequestBodyBuilder::from(body)
            .content(media_type, Content::new(Some(schema)))
            .build();
        body.required = Some(Required::True);
        self.body = Some(body);
        self
    }

    /// Takes a query.
    #[must_use]
    pub fn query<T: IntoParams>(mut self) -> Self {
        self.parameters.extend(T::into_params(|| Some(ParameterIn::Query)));
        self
    }

    /// A text of the query is one of these.
    #[must_use]
    pub fn one_of(mut self, name: &str, values: impl IntoIterator<Item = &'static str>) -> Self {
        if let Some(parameter) = self.parameters.iter_mut().find(|parameter| parameter.name == name) {
            let text = Object::builder().schema_type(SchemaType::new(Type::String)).enum_values(Some(values));
            parameter.schema = Some(RefOr::T(Schema::Object(text.build())));
        }
        self
    }

    /// Reads a request header of this form. The headers of credentials are not named: they follow from the route's `Access`.
    #[must_use]
    pub fn reads_header(mut self, name: &'static str, pattern: &'static str, description: &'static str) -> Self {
        let mut parameter = text_parameter(name, ParameterIn::Header, Required::False, description);
        let text = Object::builder().schema_type(SchemaType::new(Type::String)).pattern(Some(pattern));
        parameter.schema = Some(RefOr::T(Schema::Object(text.build())));
        self.parameters.push(parameter);
        self
    }

    /// Says what a part of the path is: `/api-keys/{id}` has an `id`. Parts that nothing is said about are texts.
    #[must_use]
    pub fn path_part(mut self, name: &'static str, description: &'static str) -> Self {
        self.parameters.push(text_parameter(name, ParameterIn::Path, Required::True, description));
        self
    }

    /// Answers with JSON.
    #[must_use]
    pub fn answers<T: ToSchema>(mut self, status: StatusCode, description: &'static str) -> Self {
        let schema = self.reference::<T>();
        self.content(status, description, "application/json", Content::new(Some(schema)))
    }

    /// Answers with a text of another media type.
    #[must_use]
    pub fn answers_text(self, status: StatusCode, description: &'static str, media_type: &'static str) -> Self {
        let text = Object::with_type(SchemaType::new(Type::String));
        self.content(status, description, media_type, Content::new(Some(Schema::Object(text))))
    }

    /// Answers with JSON that is a standard's and not ours to describe.
    #[must_use]
    pub fn answers_object(self, status: StatusCode, description: &'static str) -> Self {
        let object = Object::with_type(SchemaType::new(Type::Object));
        self.content(status, description, "application/json", Content::new(Some(Schema::Object(object))))
    }

    /// Answers without a body.
    #[must_use]
    pub fn answers_empty(mut self, status: StatusCode, description: &'static str) -> Self {
        self.answer(status, description);
        self
    }

    /// A header of the answers so far.
    #[must_use]
    pub fn with_header(mut self, name: &'static str, description: &'static str) -> Self {
        for (_, answer) in &mut self.answers {
            answer.headers.insert(name.to_owned(), RefOr::T(text_header(description)));
        }
        self
    }

    /// Refuses with this code, besides what follows from its `Access`, its body and the layers.
    #[must_use]
    pub fn refuses(mut self, code: impl Into<ProblemCode>) -> Self {
        self.refusals.push(code.into());
        self
    }

    /// A proof in its fields may take the place of the credential that its `Access` asks for.
    #[must_use]
    pub fn or_without_credential(mut self) -> Self {
        self.alternatives.push(Alternative::Nothing);
        self
    }

    /// A signature with a tool's token may take the place of the credential.
    #[must_use]
    pub fn or_tool_token(mut self) -> Self {
        self.alternatives.push(Alternative::ToolToken);
        self
    }

    /// A signature with a tool's link key may take the place of the credential.
    #[must_use]
    pub fn or_link_key(mut self) -> Self {
        self.alternatives.push(Alternative::LinkKey);
        self
    }

    /// Whether it takes a body.
    pub const fn takes_a_body(&self) -> bool {
        self.body.is_some()
    }

    /// Every schema that it names, for the test that no name means two types.
    pub fn schemas(&self) -> &[Named] {
        &self.schemas
    }

    fn content(
        mut self,
        status: StatusCode,
        description: &'static str,
        media_type: &'static str,
        content: Content,
    ) -> Self {
        self.answer(status, description).content.insert(media_type.to_owned(), RefOr::T(content));
        self
    }

    /// The answer of a status: several media types are one answer.
    fn answer(&mut self, status: StatusCode, description: &'static str) -> &mut Response {
        let status = status.as_u16();
        let position = self.answers.iter().position(|(known, _)| *known == status);
        let position = position.unwrap_or_else(|| {
            self.answers.push((status, Response::new(description)));
            self.answers.len().saturating_sub(1)
        });
        // The position was found or made on the lines above.
        #[expect(clippy::indexing_slicing, reason = "found or made above")]
        &mut self.answers[position].1
    }

    fn reference<T: ToSchema>(&mut self) -> Ref {
        self.schemas.push((T::name().into_owned(), T::schema()));
        T::schemas(&mut self.schemas);
        Ref::from_schema_name(T::name())
    }
}

/// A parameter that is a text.
pub(crate) fn text_parameter(name: &str, place: ParameterIn, required: Required, description: &str) -> Parameter {
    let text = Schema::Object(Object::with_type(SchemaType::new(Type::String)));
    ParameterBuilder::new()
        .name(name)
        .parameter_in(place)
        .required(required)
        .description(Some(description).filter(|text| !text.is_empty()))
        .schema(Some(text))
        .build()
}

/// A header that is a text.
pub(crate) fn text_header(description: &str) -> Header {
    let mut header = Header::new(Schema::Object(Object::with_type(SchemaType::new(Type::String))));
    header.description = Some(description.to_owned());
    header
}
