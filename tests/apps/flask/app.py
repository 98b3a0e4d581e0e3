"""A small shop. It knows nothing of OpenTelemetry: `opentelemetry-instrument` starts it."""

import os

import redis
from flask import Flask, abort, jsonify
from sqlalchemy import create_engine, select, text
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column


class Base(DeclarativeBase):
    pass


class User(Base):
    __tablename__ = "users"
    id: Mapped[int] = mapped_column(primary_key=True)
    email: Mapped[str]


class Product(Base):
    __tablename__ = "products"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]


app = Flask(__name__)
engine = create_engine(os.environ["DATABASE_URL"].replace("postgres://", "postgresql+psycopg2://", 1))
cache = redis.Redis.from_url(os.environ["REDIS_URL"])


def fill():
    Base.metadata.create_all(engine)
    with Session(engine) as session:
        session.add_all(User(id=n, email=f"user{n}@example.com") for n in range(1, 11))
        session.add_all(Product(id=n, name=f"product {n}") for n in range(1, 7))
        session.commit()


@app.get("/")
def index():
    return "shop"


@app.get("/users/<int:user_id>")
def user(user_id):
    with Session(engine) as session:
        found = session.scalars(select(User).where(User.id == user_id)).first()
        return jsonify(email=found.email)


@app.post("/orders")
def order():
    # As it should not be written: with values in the text.
    with engine.begin() as connection:
        connection.execute(text("UPDATE users SET email = 'secret-4711@example.com' WHERE id = 1"))
    return "ordered", 201


@app.get("/cart")
def cart():
    # A query for the list, and one for each of its rows.
    with engine.connect() as connection:
        ids = [row.id for row in connection.execute(text("SELECT id FROM products ORDER BY id"))]
        return jsonify([
            connection.execute(text(f"SELECT name FROM products WHERE id = {number}")).scalar() for number in ids
        ])


@app.get("/slow")
def slow():
    with engine.connect() as connection:
        connection.execute(text("SELECT pg_sleep(2.5)"))
    return "slept"


@app.get("/cached/<key>")
def cached(key):
    if cache.get(key) is None:
        cache.set(key, "1", ex=60)
    return "cached"


@app.get("/boom")
def boom():
    raise RuntimeError("out of stock")


@app.get("/busy")
def busy():
    abort(503)


if __name__ == "__main__":
    fill()
    app.run(port=int(os.environ["PORT"]), threaded=True)
