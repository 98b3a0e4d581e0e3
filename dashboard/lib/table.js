// Tables that can be sorted by each column, and become cards on a phone.

import { html } from "../vendor/htm-preact.js";
import { useParam } from "./url.js";

/**
 * columns: [{ name, label, value(row), cell(row), numeric, lead, wide, title }]
 *   name: in the address, as the sort order; value: what is sorted by (absent: it cannot be sorted by);
 *   cell: what is shown (default: the value); numeric: at the right;
 *   lead, wide: on a phone, the first line of a card, and one that takes the whole width.
 * sort: the order at first, such as "-count" (largest first); absent: as the rows come.
 * param: the name of the order in the address, where a page has more than one table.
 */
export function Table({ caption, columns, rows, rowKey, sort = "", param = "sort", rowClass }) {
  const [order, setOrder] = useParam(param, sort);
  const isDown = order.startsWith("-");
  const by = columns.find((column) => column.value && column.name === order.replace(/^-/, ""));
  const sorted = by ? [...rows].sort((a, b) => compare(by.value(a), by.value(b), isDown)) : rows;

  function turn(column) {
    if (by === column) setOrder(isDown ? column.name : `-${column.name}`);
    else setOrder(column.numeric ? `-${column.name}` : column.name);
  }

  const head = (column) => {
    const direction = by === column ? (isDown ? "descending" : "ascending") : undefined;
    return html`
      <th scope="col" role="columnheader" class=${column.numeric ? "numeric" : ""} aria-sort=${direction} title=${column.title}>
        ${column.value
          ? html`<button type="button" class="sort" onClick=${() => turn(column)}>${column.label}<span class="sort-mark" aria-hidden="true">${direction ? (isDown ? "↓" : "↑") : ""}</span></button>`
          : column.label || html`<span class="visually-hidden">Actions</span>`}
      </th>`;
  };

  const cell = (column, row) => html`
    <td role="cell" class="${column.numeric ? "numeric" : ""} ${column.lead ? "lead" : ""} ${column.wide ? "wide" : ""}" data-label=${column.label}>
      ${column.cell ? column.cell(row) : column.value(row)}
    </td>`;

  return html`
    <div class="table-box">
      ${columns.some((column) => column.value) && html`<${SortChoice} columns=${columns} order=${order} onChange=${setOrder} />`}
      <table role="table">
        <caption class="visually-hidden">${caption}</caption>
        <thead role="rowgroup"><tr role="row">${columns.map(head)}</tr></thead>
        <tbody role="rowgroup">
          ${sorted.map((row) => html`<tr role="row" key=${rowKey(row)} class=${rowClass?.(row) ?? ""}>${columns.map((column) => cell(column, row))}</tr>`)}
        </tbody>
      </table>
    </div>`;
}

/** On a phone there are no headings to press. */
function SortChoice({ columns, order, onChange }) {
  const choices = columns.filter((column) => column.value).map((column) => [column.numeric ? `-${column.name}` : column.name, column.label]);
  const isAmong = choices.some(([value]) => value === order);
  return html`
    <label class="sort-choice">Sorted by
      <select value=${order} onChange=${(event) => onChange(event.target.value)}>
        ${!isAmong && html`<option value=${order} selected>as they come</option>`}
        ${choices.map(([value, label]) => html`<option value=${value} selected=${value === order}>${label}</option>`)}
      </select>
    </label>`;
}

/** What is unknown comes last, in both directions. */
function compare(a, b, isDown) {
  const isNone = (value) => value === null || value === undefined;
  if (isNone(a) || isNone(b)) return isNone(a) - isNone(b);
  const order = typeof a === "string" ? a.localeCompare(b) : a - b;
  return isDown ? -order : order;
}
