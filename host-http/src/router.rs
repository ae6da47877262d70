//! Which route a request is for. They stand in a tree by the segments of their paths: what finding one costs does not grow
//! with the number of routes, as it would in a chain of warp's `or`, which tries each.

use std::{collections::HashMap, future::ready, sync::Arc};

use warp::{
    Filter, Rejection, filters::BoxedFilter, http::Method, path::FullPath, reject::not_found, reply::Response,
};

use crate::{
    api::Api,
    call::{self, Call, Parameters},
    route::Route,
};

/// The routes of a segment and below it.
#[derive(Debug, Default)]
pub(crate) struct Router {
    /// By what stands in the path.
    literal: HashMap<&'static str, Router>,
    /// Whatever stands there. What is written out goes before it.
    parameter: Option<Box<Router>>,
    /// Those whose path ends here, one a method.
    routes: Vec<Route>,
}

impl Router {
    pub(crate) fn new(routes: impl Iterator<Item = Route>) -> Self {
        let mut all = Self::default();
        for route in routes {
            let mut at = &mut all;
            for segment in route.path.split('/') {
                at = if segment.starts_with('{') {
                    at.parameter.get_or_insert_default()
                } else {
                    at.literal.entry(segment).or_default()
                };
            }
            at.routes.push(route);
        }
        all
    }

    /// The routes as one filter. It rejects only what is no path or method of theirs.
    pub(crate) fn filter(self, api: &Api) -> BoxedFilter<(Response,)> {
        let router = Arc::new(self);
        let others = router.clone();
        let answered = warp::method()
            .and(warp::path::full())
            .and_then(move |method, path: FullPath| ready(router.route(&method, path.as_str())))
            .and(call::call(api))
            .and_then(|(route, parameters): (Route, _), call: Call| {
                route.answer(call.with_parameters(parameters))
            });
        let of_another_method = warp::path::full()
            .and_then(move |path: FullPath| ready(others.knows(path.as_str())))
            .untuple_one()
            // warp alone makes the rejection that says so: no request has both.
            .and(warp::get())
            .and(warp::post())
            .and_then(|| ready(Err::<Response, _>(not_found())));
        answered.or(of_another_method).unify().boxed()
    }

    fn route(&self, method: &Method, path: &str) -> Result<(Route, Parameters), Rejection> {
        let route = self.find(path.split('/'), &|route| route.method == *method);
        let with_parameters = |route: &Route| Some((route.clone(), Parameters::of(route.path, path)?));
        route.and_then(with_parameters).ok_or_else(not_found)
    }

    fn knows(&self, path: &str) -> Result<(), Rejection> {
        self.find(path.split('/'), &|_| true).map(|_| ()).ok_or_else(not_found)
    }

    /// The first that is wanted of those whose path this is.
    fn find<'p>(
        &self,
        mut path: impl Iterator<Item = &'p str> + Clone,
        wanted: &impl Fn(&Route) -> bool,
    ) -> Option<&Route> {
        let Some(segment) = path.next() else { return self.routes.iter().find(|route| wanted(route)) };
        let literal = self.literal.get(segment).and_then(|below| below.find(path.clone(), wanted));
        let parameter = self.parameter.as_ref().filter(|_| !segment.is_empty());
        literal.or_else(|| parameter?.find(path, wanted))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{routes, rule::Rule};

    fn found(router: &Router, method: &Method, path: &str) -> Option<&'static str> {
        router.route(method, path).ok().map(|(route, _)| route.path)
    }

    #[test]
    fn each_route_is_found_by_its_own_path_and_method() {
        let router = Router::new(routes::all());
        for route in routes::all() {
            // A parameter that no path writes out.
            assert_eq!(found(&router, &route.method, route.path), Some(route.path), "{}", route.method);
        }
    }

    #[test]
    fn what_a_path_writes_out_goes_before_a_parameter_and_another_method_is_not_in_the_way() {
        let route =
            |method, path| Route::new(method, path, Rule::Anyone, |_| Box::pin(std::future::pending()));
        let routes = [
            route(Method::GET, "/a/{ref}"),
            route(Method::GET, "/a/b"),
            route(Method::POST, "/a/{slug}"),
            route(Method::GET, "/a/b/{id}"),
            route(Method::GET, "/a/{ref}/c/d"),
        ];
        let router = Router::new(routes.into_iter());
        for (method, path, expected) in [
            (Method::GET, "/a/b", Some("/a/b")),
            (Method::GET, "/a/x", Some("/a/{ref}")),
            (Method::POST, "/a/b", Some("/a/{slug}")),
            (Method::GET, "/a/b/c/d", Some("/a/{ref}/c/d")),
            (Method::DELETE, "/a/b", None),
            (Method::GET, "/a/", None),
            (Method::GET, "/a", None),
            (Method::GET, "/a/b/", None),
        ] {
            assert_eq!(found(&router, &method, path), expected, "{method} {path}");
        }
        assert!(router.knows("/a/b").is_ok() && router.knows("/b").is_err());
    }
}
