// BullMQ: node bullmq_peer.mjs ROLE URL COUNT. The worker runs 50 jobs at a time; ended jobs are kept up to 10,000, as ours.
import { Queue, Worker } from "bullmq";
import { Redis } from "ioredis";

const [, , role, url, countText] = process.argv;
const count = Number(countText);
const connection = new Redis(url, { maxRetriesPerRequest: null });
const options = { attempts: 5, backoff: { type: "exponential", delay: 10000 }, removeOnComplete: 10000 };
const job = (sentUs) => ({ user_id: 42, email: "someone@example.com", sent_us: sentUs });
const nowUs = () => (performance.timeOrigin + performance.now()) * 1000;
const queue = () => new Queue("bench", { connection });
const seconds = (began) => (performance.now() - began) / 1000;

if (role === "one") {
  const q = queue();
  await q.waitUntilReady();
  const began = performance.now();
  for (let i = 0; i < count; i++) await q.add("noop", job(0), options);
  console.log(JSON.stringify({ per_second: count / seconds(began) }));
  process.exit(0);
} else if (role === "bulk") {
  const q = queue();
  await q.waitUntilReady();
  const began = performance.now();
  for (let i = 0; i < count; i += 500) {
    const size = Math.min(500, count - i);
    await q.addBulk(Array.from({ length: size }, () => ({ name: "noop", data: job(0), opts: options })));
  }
  console.log(JSON.stringify({ per_second: count / seconds(began) }));
  process.exit(0);
} else if (role === "pace") {
  const q = queue();
  await q.waitUntilReady();
  for (let i = 0; i < count; i++) {
    await q.add("noop", job(nowUs()), options);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  process.exit(0);
} else {
  let done = 0, began = 0;
  const delays = [];
  const handler = async ({ data }) => {
    if (done === 0) began = performance.now();
    if (data.sent_us) delays.push(nowUs() - data.sent_us);
    if (++done === count) {
      delays.sort((a, b) => a - b);
      const quantile = (share) => delays[Math.floor(delays.length * share)] ?? null;
      console.log(JSON.stringify({ per_second: count / seconds(began), p50_us: quantile(0.5), p99_us: quantile(0.99) }));
      process.exit(0);
    }
  };
  new Worker("bench", handler, { connection, concurrency: 50 });
}
