// A small shop. It knows nothing of OpenTelemetry: node loads that before it.
'use strict';

const express = require('express');
const { Pool } = require('pg');
const Redis = require('ioredis');

const pool = new Pool({ connectionString: process.env.DATABASE_URL });
const cache = new Redis(process.env.REDIS_URL);
const app = express();

app.get('/', (request, response) => response.send('shop'));

app.get('/users/:id', async (request, response) => {
  const found = await pool.query('SELECT email FROM users WHERE id = $1', [request.params.id]);
  response.json(found.rows[0]);
});

app.post('/orders', async (request, response) => {
  // As it should not be written: with values in the text.
  await pool.query("UPDATE users SET email = 'secret-4711@example.com' WHERE id = 1");
  response.status(201).send('ordered');
});

app.get('/cart', async (request, response) => {
  // A query for the list, and one for each of its rows.
  const products = await pool.query('SELECT id FROM products ORDER BY id');
  const names = [];
  for (const { id } of products.rows) {
    names.push((await pool.query(`SELECT name FROM products WHERE id = ${id}`)).rows[0].name);
  }
  response.json(names);
});

app.get('/slow', async (request, response) => {
  await pool.query('SELECT pg_sleep(2.5)');
  response.send('slept');
});

app.get('/cached/:key', async (request, response) => {
  if ((await cache.get(request.params.key)) === null) {
    await cache.set(request.params.key, '1', 'EX', 60);
  }
  response.send('cached');
});

app.get('/boom', () => {
  throw new Error('out of stock');
});

app.get('/busy', (request, response) => response.status(503).send('busy'));

async function fill() {
  await pool.query('CREATE TABLE IF NOT EXISTS users (id integer PRIMARY KEY, email text)');
  await pool.query('CREATE TABLE IF NOT EXISTS products (id integer PRIMARY KEY, name text)');
  await pool.query("INSERT INTO users SELECT n, 'user' || n || '@example.com' FROM generate_series(1, 10) AS n");
  await pool.query("INSERT INTO products SELECT n, 'product ' || n FROM generate_series(1, 6) AS n");
}

fill().then(() => app.listen(Number(process.env.PORT), '127.0.0.1'));
// As every server should: what is told of the last requests is sent before the process ends.
process.on('SIGTERM', () => process.exit(0));
