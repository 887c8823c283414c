//! Small applications of each framework, on disk, and the routes they come to.

use std::{
    fs,
    io::{BufRead as _, BufReader},
    path::Path,
    process::{Command, Stdio},
};

use tempfile::TempDir;

use super::*;

fn application(files: &[(&str, &str)]) -> TempDir {
    let directory = TempDir::new().expect("directory");
    for (name, text) in files {
        let path = directory.path().join(name);
        fs::create_dir_all(path.parent().expect("parent")).expect("directory");
        fs::write(path, text).expect("file");
    }
    directory
}

fn table(language: Language, files: &[(&str, &str)]) -> Routes {
    let directory = application(files);
    let program = source::Program::at(language, directory.path(), Path::new(""));
    let files = program.files(&mut Cache::default());
    assemble::routes(files.iter().map(|(path, findings)| (path.as_path(), &**findings)))
}

#[track_caller]
fn assert_routes(routes: &Routes, expected: &[(&str, &str, Option<&str>)]) {
    for (method, path, template) in expected {
        let found = routes
            .template(method, path)
            .map(|template| template.text.to_string());
        assert_eq!(found.as_deref(), *template, "{method} {path}");
    }
}

#[test]
fn flask() {
    let app = r#"
from flask import Flask
from shop.users import users_bp
app = Flask(__name__)
app.register_blueprint(users_bp, url_prefix="/api/users")

@app.route("/health")
def health(): return "ok"

@app.route('/files/<path:name>', methods=["GET", "PUT"])
def file(name): return name
"#;
    let users = r#"
users_bp = Blueprint("users", __name__)
@users_bp.route("/<int:user_id>/orders/<order>", methods=['POST'])
def order(user_id, order): pass
@users_bp.get("/search")
def search(): pass
"#;
    let routes = table(
        Language::Python,
        &[
            ("app.py", app),
            ("shop/users.py", users),
            ("venv/x.py", "@app.get('/no')"),
        ],
    );
    assert_routes(
        &routes,
        &[
            ("GET", "/health", Some("/health")),
            ("PUT", "/files/a/b", Some("/files/{name}")),
            (
                "POST",
                "/api/users/7/orders/x",
                Some("/api/users/{user_id}/orders/{order}"),
            ),
            ("GET", "/api/users/search", Some("/api/users/search")),
            ("GET", "/users/search", None),
            ("GET", "/no", None),
        ],
    );
}

#[test]
fn fastapi() {
    let main = r#"
from .routers import items
app = FastAPI()
app.include_router(items.router, prefix="/v1")
@app.get("/users/{user_id}/photo.{ending}")
async def photo(user_id: int): ...
"#;
    let items = r#"
router = APIRouter(prefix="/items", tags=["items"])
@router.get("/{item_id}")
async def item(item_id: str): ...
@router.post("/")
async def make(): ...
"#;
    let routes = table(
        Language::Python,
        &[("main.py", main), ("routers/items.py", items)],
    );
    assert_routes(
        &routes,
        &[
            ("GET", "/v1/items/abc", Some("/v1/items/{item_id}")),
            ("POST", "/v1/items", Some("/v1/items")),
            (
                "GET",
                "/users/1/photo.png",
                Some("/users/{user_id}/photo.{ending}"),
            ),
            ("GET", "/items/abc", None),
        ],
    );
}

#[test]
fn django() {
    let main = r#"
urlpatterns = [
    path("admin/", admin.site.urls),
    path("api/", include("shop.urls")),
]
"#;
    let shop = r#"
router.register(r"customers", CustomerViewSet)
urlpatterns = [
    path("orders/<uuid:pk>/", views.order),
    re_path(r"^reports/(?P<year>[0-9]{4})/$", views.report),
    re_path(r"^odd/\d+$", views.odd),
]
"#;
    let routes = table(
        Language::Python,
        &[("site/urls.py", main), ("shop/urls.py", shop)],
    );
    assert_routes(
        &routes,
        &[
            ("GET", "/api/orders/5", Some("/api/orders/{pk}")),
            ("GET", "/api/reports/2024", Some("/api/reports/{year}")),
            ("GET", "/api/customers/ann", Some("/api/customers/{pk}")),
            ("GET", "/api/odd/5", None),
        ],
    );
}

#[test]
fn express() {
    let app = r#"
const express = require('express');
const app = express();
const users = require('./routes/users');
app.use('/api/users', auth, users);
app.use('/orders', require('./routes/orders'));
app.get('/status/:part?', (req, res) => res.send('ok'));
axios.get('/remote', cb);
"#;
    let users = r#"
const router = require('express').Router();
router.get('/:id(\\d+)', show);
router.post('/:id/avatar', upload);
router.route('/me').get(me);
module.exports = router;
"#;
    let orders = "const router = express.Router();\nrouter.delete('/:orderId', gone);\n";
    let routes = table(
        Language::JavaScript,
        &[
            ("app.js", app),
            ("routes/users.js", users),
            ("routes/orders/index.js", orders),
        ],
    );
    assert_routes(
        &routes,
        &[
            ("GET", "/api/users/ann", Some("/api/users/{id}")),
            ("POST", "/api/users/ann/avatar", Some("/api/users/{id}/avatar")),
            ("GET", "/api/users/me", Some("/api/users/me")),
            ("DELETE", "/orders/7", Some("/orders/{orderId}")),
            ("GET", "/status", Some("/status")),
            ("GET", "/status/db", Some("/status/{part}")),
            ("GET", "/remote", None),
        ],
    );
}

#[test]
fn rails_and_sinatra() {
    let rails = r#"
Rails.application.routes.draw do
  get "up", to: "health#show"
  namespace :api do
    scope "/v1" do
      resources :users, only: [:index, :show] do
        resources :orders
        member do
          post :activate
        end
        get "search", on: :collection
      end
      resource :profile
    end
  end
end
"#;
    let routes = table(Language::Ruby, &[("config/routes.rb", rails)]);
    assert_routes(
        &routes,
        &[
            ("GET", "/up", Some("/up")),
            ("GET", "/api/v1/users/ann", Some("/api/v1/users/{id}")),
            (
                "DELETE",
                "/api/v1/users/7/orders/8",
                Some("/api/v1/users/{user_id}/orders/{id}"),
            ),
            ("PATCH", "/api/v1/profile", Some("/api/v1/profile")),
        ],
    );
    let sinatra = "require 'sinatra'\nget '/songs/:id' do\n  'x'\nend\nget '/raw/*' do |path|\nend\n";
    let routes = table(Language::Ruby, &[("app.rb", sinatra)]);
    assert_routes(&routes, &[("GET", "/songs/x", Some("/songs/{id}"))]);
}

#[test]
fn laravel_and_slim() {
    let api = r"<?php
Route::get('/users/{id}', [UserController::class, 'show']);
Route::prefix('admin')->middleware('auth')->group(function () {
    Route::delete('/posts/{post?}', 'x');
});
Route::apiResource('photos', PhotoController::class);
";
    let routes = table(Language::Php, &[("routes/api.php", api)]);
    assert_routes(
        &routes,
        &[
            ("GET", "/api/users/7", Some("/api/users/{id}")),
            ("DELETE", "/api/admin/posts/9", Some("/api/admin/posts/{post}")),
            ("PUT", "/api/photos/9", Some("/api/photos/{photo}")),
        ],
    );
    let slim = r"<?php
$app->group('/v1', function (RouteCollectorProxy $group) {
    $group->get('/users/{id:[0-9]+}', Show::class);
});
$app->map(['GET', 'POST'], '/both', Both::class);
";
    let routes = table(Language::Php, &[("index.php", slim)]);
    assert_routes(
        &routes,
        &[
            ("GET", "/v1/users/7", Some("/v1/users/{id}")),
            ("POST", "/both", Some("/both")),
        ],
    );
}

#[test]
fn files_are_read_once_per_version_and_links_are_not_followed() {
    let outside = application(&[("secret.py", "@app.get('/outside')\n")]);
    let directory = application(&[("app.py", "@app.get('/inside')\n")]);
    std::os::unix::fs::symlink(outside.path().join("secret.py"), directory.path().join("link.py"))
        .expect("link");
    std::os::unix::fs::symlink(outside.path(), directory.path().join("tree")).expect("link");
    let program = source::Program::at(Language::Python, directory.path(), Path::new(""));
    let mut cache = Cache::default();
    assert_eq!(program.files(&mut cache).len(), 1);
    assert_eq!(program.files(&mut cache).len(), 1);
    assert_eq!(cache.read, 1);
    fs::write(directory.path().join("app.py"), "@app.get('/inside/other')\n").expect("write");
    program.files(&mut cache);
    assert_eq!(cache.read, 2);
}

/// A program that says when it runs, and waits for the end of its input.
const RUNNING: &str = "import sys
class App:
    def get(self, path):
        return lambda handler: handler
app = App()
@app.get('/users/<user_id>')
def user(user_id):
    pass
print('ready', flush=True)
sys.stdin.read()
";

#[test]
fn a_running_program_is_read_through_proc() {
    let directory = application(&[("app.py", RUNNING)]);
    let started = Command::new("python3")
        .arg("app.py")
        .current_dir(directory.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn();
    let Ok(mut child) = started else {
        println!("skipped: there is no Python");
        return;
    };
    let mut line = String::new();
    BufReader::new(child.stdout.take().expect("output"))
        .read_line(&mut line)
        .expect("a line");
    let routes = routes(Path::new("/proc"), child.id(), &mut Cache::default());
    drop(child.stdin.take());
    child.wait().expect("the end");
    assert_routes(&routes, &[("GET", "/users/ann", Some("/users/{user_id}"))]);
}

#[test]
fn hostile_files_end() {
    let long = "@app.get('".repeat(20_000) + &"path('x/', include(".repeat(20_000) + "urlpatterns";
    for language in [
        Language::Python,
        Language::JavaScript,
        Language::Ruby,
        Language::Php,
    ] {
        language.read(long.as_bytes());
        language.read("app.use('/a', ".repeat(20_000).as_bytes());
        language.read("resources :a do\n".repeat(2_000).as_bytes());
    }
}

#[test]
fn what_this_process_runs_is_unknown() {
    assert!(routes(Path::new("/proc"), std::process::id(), &mut Cache::default()).is_empty());
}
