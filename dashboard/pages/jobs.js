// Jobs: what waits where, what ran, and lists by state.

import { html } from "../vendor/htm-preact.js";
import { hoursBack } from "../lib/asked.js";
import { words } from "../lib/format.js";
import { usePoll } from "../lib/live.js";
import { Page } from "../lib/page.js";
import { useLocation, useParam } from "../lib/url.js";
import { JobHistory } from "../operations/job-history.js";
import { JobList } from "../operations/job-list.js";
import { Choice, Tabs } from "../operations/parts.js";
import { QueuesCard } from "../operations/queues.js";

const COUNTED = ["running", "ready", "scheduled", "retrying", "dead"];
const ENDED = ["succeeded", "cancelled", "expired"];
/** How far back the history of jobs goes. */
const HISTORY_HOURS = 24;

export default function Jobs() {
  const { params } = useLocation();
  const [queue, setQueue] = useParam("queue");
  const [job, setJob] = useParam("job");
  const state = params.get("state") ?? "";
  const limit = Math.min(Math.max(Number.parseInt(params.get("limit"), 10) || 50, 1), 1000);
  const hours = Math.min(hoursBack(params), HISTORY_HOURS);

  const queues = usePoll("/queues");
  const history = usePoll(state ? null : `/jobs/history?hours=${hours}`);
  const query = new URLSearchParams(Object.entries({ state: state === "all" ? "" : state, queue, job, limit }).filter(([, value]) => value));
  const jobs = usePoll(state ? `/jobs?${query}` : null);

  const all = queues.data?.items ?? [];
  const counted = queue ? all.filter((one) => one.name === queue) : all;
  const sum = (name) => counted.reduce((total, one) => total + one[name], 0);
  const tabs = [
    ["", `Last ${hours === 1 ? "hour" : `${hours} hours`}`],
    ...COUNTED.map((name) => [name, words(name), sum(name)]),
    ...ENDED.map((name) => [name, words(name)]),
    ["all", "All"],
  ];
  return html`
    <${Page} title="Jobs" filters=${state ? [] : ["time"]}>
      <${QueuesCard} poll=${queues} />
      <section class="card flush" aria-label="Jobs">
        <div class="toolbar">
          <${Tabs} name="state" label="State" items=${tabs} reset=${["limit"]} />
          <${Choice} label="Queue" value=${queue} set=${setQueue} options=${[["", "All queues"], ...names(all, queue)]} />
          ${state && html`<label class="search"><span class="visually-hidden">Name of the job</span>
            <input type="search" data-filter value=${job} placeholder="Name of the job" spellcheck=${false} onChange=${(event) => setJob(event.target.value.trim())} /></label>`}
        </div>
        ${state
          ? html`<${JobList} key=${state} poll=${jobs} state=${state} limit=${limit} hasFilter=${Boolean(queue || job)} />`
          : html`<${JobHistory} poll=${history} hours=${hours} queue=${queue} />`}
      </section>
    </${Page}>`;
}

/** The queues to choose from; one that is asked for by a link is there even when it is gone. */
const names = (queues, chosen) => [...new Set([...queues.map((one) => one.name), chosen].filter(Boolean))].map((name) => [name, name]);
