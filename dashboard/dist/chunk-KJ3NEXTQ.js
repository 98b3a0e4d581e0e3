import{M as o,N as n,V as r,ea as i,k as a}from"./chunk-M7XSJUA7.js";var c=["critical","high","medium","low"],l=t=>c.indexOf(t.severity),u=t=>[...t].sort((e,s)=>l(e)-l(s)||Date.parse(s.last_seen_at)-Date.parse(e.last_seen_at)),d=({alerts:t})=>a`
  <ul class="lines">
    ${t.map(e=>a`
      <li key=${e.id}>
        <${o} state=${e.severity} />
        <a class="lines-main" href=${i("/alert",{id:e.id})}>${e.title}</a>
        <span class="note nowrap">${e.status==="active"?"":`${e.status}, `}<${r} at=${e.raised_at??e.first_seen_at} /></span>
      </li>`)}
  </ul>`;var w=t=>t.group_id===t.id,k=t=>({at:t.since,tone:t.direction==="better"?"good":"warn",text:t.sentence});function y({findings:t,note:e}){return t.length===0?null:a`
    <${n} title="What changed" note=${e}>
      <ul class="lines">
        ${t.map(s=>a`
          <li key=${s.id}>
            ${s.state==="open"?a`<${o} state=${s.direction} />`:a`<${o} state=${s.state} />`}
            <span class="lines-main">${s.sentence}</span>
            <span class="note nowrap">since <${r} at=${s.since} /></span>
          </li>`)}
      </ul>
    </${n}>`}export{u as a,d as b,w as c,k as d,y as e};
