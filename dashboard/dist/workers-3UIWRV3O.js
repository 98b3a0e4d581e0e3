import{d as f}from"./chunk-F4HTYYJN.js";import{a as c,e as m}from"./chunk-7NRPVOUC.js";import"./chunk-FPQXMIIK.js";import{I as g,M as h,N as i,O as s,R as u,V as o,X as b,ea as $,k as n,t as d,v as p}from"./chunk-M7XSJUA7.js";var w=2e4;function y(){let t=d("/workers"),a=p(5e3),l=[{name:"id",label:"Worker",lead:!0,value:e=>e.id,cell:e=>n`<${S} worker=${e} />`},{name:"state",label:"State",value:e=>v(e,a),cell:e=>n`<${W} state=${v(e,a)} />`},{name:"queues",label:"Queues",title:"With their weights",cell:e=>n`<ul class="labels">${e.queues.map(r=>n`<${_} queue=${r} />`)}</ul>`},{name:"busy",label:"Busy",numeric:!0,value:e=>e.running.length/e.concurrency,cell:e=>n`<${q} worker=${e} />`},{name:"since",label:"Since",value:e=>e.started_at,cell:e=>n`<${o} at=${e.started_at} />`},{name:"seen",label:"Last heartbeat",value:e=>e.seen_at,cell:e=>n`<${o} at=${e.seen_at} />`}];return n`
    <${c} title="Workers">
      <${u} poll=${t} lines=${5}>
        ${({items:e})=>n`
          <div class="stack">
            <section class="card flush" aria-label="Workers">
              ${e.length===0?n`<${s} title="Nobody works" example="dogwatch worker">Jobs wait until a worker runs. Start one:</${s}>`:n`<${m} caption="Workers" columns=${l} rows=${e} rowKey=${r=>r.id} />`}
            </section>
            ${e.length>0&&n`<${j} workers=${e} />`}
          </div>`}
      </${u}>
    </${c}>`}function v(t,a){return a-Date.parse(t.seen_at)>w?"silent":t.draining?"draining":t.running.length>0?"working":"idle"}var k={silent:"bad",draining:"warn",working:"good",idle:"good"},W=({state:t})=>n`<${h} state=${t} tone=${k[t]} />`,S=({worker:t})=>n`
  <div class="lead-line mono">${t.id}</div>
  <div class="note">host ${t.host} · process ${t.pid} · version ${t.version}</div>`;function _({queue:t}){let[a,l]=t.split(":");return n`<li><a href=${$("/jobs",{state:"all",queue:a})}>${a}</a>${l&&n` <span title="Weight">${l}</span>`}</li>`}var q=({worker:t})=>n`
  <span class="progress">${t.running.length} of ${t.concurrency} <${b} part=${Math.min(t.running.length/t.concurrency,1)} /></span>`;function j({workers:t}){let a=t.flatMap(e=>e.running.map(r=>({...r,worker:e.id}))),l=[{name:"job",label:"Job",lead:!0,value:e=>e.job,cell:e=>n`<${f} job=${e} />`},{name:"queue",label:"Queue",value:e=>e.queue},{name:"attempt",label:"Attempt",numeric:!0,value:e=>e.attempt},{name:"worker",label:"Worker",value:e=>e.worker,cell:e=>n`<span class="mono">${e.worker}</span>`},{name:"since",label:"Runs since",value:e=>e.since,cell:e=>n`<${o} at=${e.since} />`}];return n`
    <${i} title="What they run" flush=${!0} note=${g(a.length,"job")}>
      ${a.length===0?n`<${s} title="Nothing runs now">What waits is in the <a href=${$("/jobs",{state:"ready"})}>list of ready jobs</a>.</${s}>`:n`<${m} caption="Running jobs" columns=${l} rows=${a} rowKey=${e=>`${e.worker} ${e.queue} ${e.id}`} sort="since" param="running" />`}
    </${i}>`}export{y as default};
