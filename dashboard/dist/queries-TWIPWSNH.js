import{c as t,d as x}from"./chunk-D5O7MHXE.js";import"./chunk-6Q2OUO46.js";import{a as c,b as n,c as g,d as q,e as b}from"./chunk-7NRPVOUC.js";import"./chunk-FPQXMIIK.js";import{I as f,N as p,O as l,R as $,fa as v,ga as u,k as o,t as d,x as y}from"./chunk-M7XSJUA7.js";var F=200,H=[["0","Any time"],["10","10 ms"],["100","100 ms"],["1000","1 s"]],I=[t.text,t.calls,t.total,t.mean,t.p95,t.max,t.errors,t.usedBy];function N(){let[r,T]=u("q"),[a,w]=u("threshold","0"),m=d(q("slow-queries",{threshold_ms:a,limit:F}),{every:g()}),h=m.data?.items??[],L=r.trim().toLowerCase(),i=h.filter(e=>`${e.text} ${e.system} ${e.used_by.map(s=>s.endpoint).join(" ")}`.toLowerCase().includes(L)),C=i.reduce((e,s)=>e+s.total_ms,0),_=m.data&&`${f(i.length,"query","queries")}, ${y(C)} in all ${n()}`,k=o`
    <div class="list-tools">
      <label class="choice">At least
        <select value=${a} onChange=${e=>w(e.target.value)}>
          ${H.map(([e,s])=>o`<option value=${e} selected=${e===a}>${s}</option>`)}
        </select>
      </label>
      <input type="search" data-filter aria-label="Filter queries" placeholder="Filter  ( / )" value=${r} onInput=${e=>T(e.target.value)} spellcheck=${!1} />
    </div>`;return o`
    <${c} title="Queries" filters=${["service","tenant","time"]}>
      <${p} flush title="By cost" note=${_} aside=${k}>
        <${$} poll=${m} lines=${10}>
          ${()=>i.length>0?o`<${b} caption="Queries" columns=${I} rows=${i} rowKey=${x} sort="-total_ms" />`:o`<${P} isFiltered=${h.length>0||a!=="0"} />`}
        </${$}>
      </${p}>
    </${c}>`}function P({isFiltered:r}){return r?o`<${l} title="No query fits"><a href=${v({q:null,threshold:null})}>Show all queries ${n()}</a></${l}>`:o`
    <${l} title="No queries ${n()}" example=${`pip install opentelemetry-distro opentelemetry-exporter-otlp
opentelemetry-bootstrap -a install
opentelemetry-instrument python app.py`}>
      They come with the spans of your services' database drivers, by OpenTelemetry. Their literals are never kept.
    </${l}>`}export{N as default};
