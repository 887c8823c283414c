
'use strict';
(() => {
  const PAGE = 100;
  const by = id => document.getElementById(id);
  const root = document.documentElement;
  by('theme').addEventListener('click', () => {
    const dark = root.dataset.theme ? root.dataset.theme === 'dark' : matchMedia('(prefers-color-scheme: dark)').matches;
    root.dataset.theme = dark ? 'light' : 'dark';
  });

  const body = by('endpoints').tBodies[0];
  const heads = [...by('endpoints').tHead.rows[0].cells];
  const rows = [...body.rows].map(row => {
    const cells = [...row.cells];
    const text = cells.map(cell => cell.textContent);
    return {
      row, text, risk: Number(cells[0].dataset.v), workload: text[1], method: text[2], auth: text[7],
      exposure: row.dataset.exposure, sensitive: text[8] !== '', all: text.join(' ').toLowerCase(),
      keys: cells.map(cell => cell.dataset.v === undefined ? cell.textContent : Number(cell.dataset.v)),
    };
  });
  let order = rows;
  let limit = PAGE;

  const show = () => {
    const words = by('f-text').value.toLowerCase().split(/\s+/).filter(Boolean);
    const risk = Number(by('f-risk').value) || 0;
    const sensitive = by('f-sensitive').checked;
    const chosen = ['workload', 'method', 'auth', 'exposure'].map(name => [name, by('f-' + name).value]).filter(([, value]) => value);
    let count = 0;
    for (const one of order) {
      const wanted = one.risk >= risk && (!sensitive || one.sensitive)
        && chosen.every(([name, value]) => one[name] === value) && words.every(word => one.all.includes(word));
      one.row.classList.toggle('off', !wanted);
      one.row.classList.toggle('later', wanted && count >= limit);
      count += wanted;
    }
    by('shown').textContent = count === rows.length ? `${count} endpoints` : `${count} of ${rows.length} endpoints`;
    by('more').hidden = count <= limit;
    by('more').textContent = `Show more (${Math.min(limit, count)} of ${count} are shown)`;
  };
  const again = () => { limit = PAGE; show(); };

  by('filters').addEventListener('input', again);
  by('filters').addEventListener('submit', event => event.preventDefault());
  by('filters').addEventListener('reset', () => setTimeout(again));
  by('more').addEventListener('click', () => { limit += PAGE * 5; show(); });
  heads.forEach((head, column) => head.addEventListener('click', () => {
    const first = head.classList.contains('n') ? 'descending' : 'ascending';
    const second = first === 'ascending' ? 'descending' : 'ascending';
    const direction = head.getAttribute('aria-sort') === first ? second : first;
    heads.forEach(other => other.removeAttribute('aria-sort'));
    head.setAttribute('aria-sort', direction);
    const sign = direction === 'ascending' ? 1 : -1;
    const compare = (a, b) => a.keys[column] < b.keys[column] ? -sign : a.keys[column] > b.keys[column] ? sign : 0;
    order = [...order].sort(compare);
    body.append(...order.map(one => one.row));
    show();
  }));
  show();
})();
