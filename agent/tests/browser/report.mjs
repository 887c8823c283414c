// Opens a report as a person would and says what went wrong, one line each; nothing means that all is well.
//
// node report.mjs MODULES REPORT SMALL_REPORT [SCREENSHOTS]: the directory with playwright-core and axe-core, a report
// with many endpoints, and a small one that axe can look at whole.
import { createRequire } from 'node:module';
import { readFileSync } from 'node:fs';
import { pathToFileURL } from 'node:url';

const [modules, large, small, screenshots] = process.argv.slice(2);
const require = createRequire(pathToFileURL(`${modules}/package.json`));
const { chromium } = require('playwright-core');
const axe = readFileSync(require.resolve('axe-core/axe.min.js'), 'utf8');

const problems = [];
const expect = (what, found, wanted) => {
  if (JSON.stringify(found) !== JSON.stringify(wanted)) problems.push(`${what}: found ${JSON.stringify(found)}, expected ${JSON.stringify(wanted)}`);
};

const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium', args: ['--no-sandbox'] });

async function open(file, options) {
  const page = await browser.newPage(options);
  page.on('console', message => { if (['error', 'warning'].includes(message.type())) problems.push(`console: ${message.text()}`); });
  page.on('pageerror', error => problems.push(`script: ${error.message}`));
  page.on('request', request => { if (!/^(file|data):/.test(request.url())) problems.push(`asks the network: ${request.url()}`); });
  await page.goto(pathToFileURL(file).href);
  return page;
}

const visible = page => page.locator('#endpoints tbody tr:visible');
const column = (page, index) => visible(page).evaluateAll((rows, index) => rows.map(row => row.cells[index].textContent), index);

const page = await open(large, { viewport: { width: 1400, height: 900 }, colorScheme: 'light' });
const total = await page.locator('#endpoints tbody tr').count();
expect('rows of a large report', total >= 5000, true);
expect('rows of the first page', await visible(page).count(), 100);
if (screenshots) await page.screenshot({ path: `${screenshots}/light.png` });

await page.fill('#f-text', 'USERS search');
const paths = await column(page, 3);
expect('search finds rows', paths.length > 0, true);
expect('search finds only what matches', paths.every(path => path.includes('users') && path.includes('search')), true);
expect('what is shown is said', /^\d+ of \d+ endpoints$/.test(await page.textContent('#shown')), true);
await page.selectOption('#f-method', 'DELETE');
expect('a method narrows', [...new Set(await column(page, 2))], ['DELETE']);
const workload = (await column(page, 1))[0];
await page.selectOption('#f-workload', workload);
expect('a workload narrows', [...new Set(await column(page, 1))], [workload]);
await page.fill('#f-text', 'no such thing anywhere');
expect('nothing matches', await page.textContent('#shown'), `0 of ${total} endpoints`);
await page.click('#filters button[type=reset]');
await page.waitForFunction(total => document.getElementById('shown').textContent === `${total} endpoints`, total);
await page.check('#f-sensitive');
expect('only sensitive data', (await column(page, 8)).every(kinds => kinds !== ''), true);
await page.uncheck('#f-sensitive');
await page.fill('#f-risk', '30');
const risks = (await column(page, 0)).map(Number);
expect('only risks from 30', risks.length > 0 && risks.every(risk => risk >= 30), true);
await page.fill('#f-risk', '0');

const p99 = page.locator('#endpoints thead button', { hasText: 'p99' });
await p99.focus();
await page.keyboard.press('Enter');
const sorted = await visible(page).evaluateAll(rows => rows.map(row => Number(row.cells[6].dataset.v)));
expect('sorted by keyboard', sorted, [...sorted].sort((a, b) => b - a));
expect('the order is said', await page.locator('#endpoints th[aria-sort]').getAttribute('aria-sort'), 'descending');
await page.click('#more');
expect('more rows', await visible(page).count(), 600);
await page.emulateMedia({ media: 'print' });
expect('all rows are printed', await visible(page).count(), total);
expect('filters are not printed', await page.locator('#filters').isVisible(), false);
await page.close();

for (const colorScheme of ['light', 'dark']) {
  for (const width of [1400, 390]) {
    const page = await open(small, { viewport: { width, height: 900 }, colorScheme });
    await page.evaluate(axe);
    const { violations } = await page.evaluate(() => window.axe.run(document, { resultTypes: ['violations'] }));
    for (const { id, impact, help, nodes } of violations) {
      if (['serious', 'critical'].includes(impact)) problems.push(`axe, ${colorScheme}, ${width}: ${id}: ${help}: ${nodes.slice(0, 3).map(node => node.html.slice(0, 160)).join(' | ')}`);
    }
    const wide = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
    expect(`${colorScheme}, ${width}: the page is not wider than the window`, wide <= 0, true);
    if (screenshots) await page.screenshot({ path: `${screenshots}/${colorScheme}-${width}.png`, fullPage: true });
    await page.close();
  }
}
const turning = await open(small, { colorScheme: 'light' });
await turning.click('#theme');
expect('the theme switches', await turning.evaluate(() => document.documentElement.dataset.theme), 'dark');
await browser.close();
for (const problem of problems) console.log(problem);
