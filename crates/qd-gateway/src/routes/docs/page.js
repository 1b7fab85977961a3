'use strict';
// Renders openapi.json. Everything that comes from it or from answers becomes text, never markup.

let api;

// An element with attributes and children; texts among the children become text nodes.
function el(name, attributes, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes || {})) {
    if (key === 'text') element.textContent = value;
    else if (key.startsWith('on')) element.addEventListener(key.slice(2), value);
    else if (value === true) element.setAttribute(key, '');
    else if (value !== undefined && value !== false) element.setAttribute(key, value);
  }
  element.append(...children.filter((child) => child !== undefined && child !== null));
  return element;
}

// `code`, **bold** and paragraphs: as much of Markdown as the document uses.
function prose(text) {
  const box = el('div');
  for (const paragraph of (text || '').split(/\n\n+/)) {
    const p = el('p');
    for (const part of paragraph.split(/(`[^`]+`|\*\*[^*]+\*\*)/)) {
      if (part.startsWith('`')) p.append(el('code', { text: part.slice(1, -1) }));
      else if (part.startsWith('**')) p.append(el('strong', { text: part.slice(2, -2) }));
      else p.append(part);
    }
    box.append(p);
  }
  return box;
}

// The same for one line.
const inline = (text) => [...prose(text).firstChild.childNodes];

function resolve(value) {
  if (!value || !value.$ref) return value;
  const found = value.$ref.slice(2).split('/').reduce((at, key) => at[key.replace(/~1/g, '/').replace(/~0/g, '~')], api);
  return { ...found, ...value, $ref: undefined };
}

const nameOf = (schema) => (schema && schema.$ref ? schema.$ref.split('/').pop() : '');

// What a value looks like, in words.
function kind(schema) {
  if (!schema) return 'any';
  if (schema.$ref) return nameOf(schema);
  if (schema.anyOf) return schema.anyOf.map(kind).join(' or ');
  if (schema.allOf) return schema.allOf.map(nameOf).filter(Boolean).join(' and ');
  if (schema.const !== undefined) return JSON.stringify(schema.const);
  if (schema.enum) return schema.enum.join(' | ');
  const types = [].concat(schema.type || 'any');
  if (types[0] === 'array') types[0] = `list of ${kind(schema.items)}`;
  const bounds = [];
  if (schema.format) bounds.push(schema.format);
  if (schema.minimum !== undefined && schema.maximum !== undefined) bounds.push(`${schema.minimum} to ${schema.maximum}`);
  else if (schema.minimum) bounds.push(`from ${schema.minimum}`);
  if (schema.maxLength !== undefined) bounds.push(`${schema.minLength || 0} to ${schema.maxLength} characters`);
  if (schema.maxProperties !== undefined) bounds.push(`at most ${schema.maxProperties} fields`);
  if (schema.default !== undefined) bounds.push(`default ${JSON.stringify(schema.default)}`);
  return types.join(' or ') + (bounds.length ? `, ${bounds.join(', ')}` : '');
}

// The schema whose fields are worth showing below this one.
function inner(schema) {
  if (!schema) return undefined;
  if (schema.$ref) return inner(resolve(schema));
  if (schema.anyOf) return schema.anyOf.map(inner).find(Boolean);
  if (schema.allOf) return inner(schema.allOf[0]);
  if (schema.items) return inner(schema.items);
  return schema.properties ? schema : undefined;
}

function fields(schema) {
  const object = inner(schema);
  if (!object) return undefined;
  const list = el('dl', { class: 'fields' });
  for (const [name, field] of Object.entries(object.properties)) {
    const must = (object.required || []).includes(name);
    list.append(el('dt', {}, el('code', { text: name }), ' ', el('span', { class: 'kind', text: kind(field) }),
      must ? el('span', { class: 'must', text: ' required' }) : undefined));
    const about = field.description || (field.$ref && resolve(field).description);
    const below = inner(field) && el('details', { ontoggle: openOnce(() => fields(field)) },
      el('summary', { text: 'fields' }));
    list.append(el('dd', {}, about ? prose(about) : undefined, below));
  }
  return list;
}

// Fills a details element when it is first opened, so that schemas may contain themselves.
function openOnce(fill) {
  return (event) => {
    const details = event.target;
    if (details.open && !details.dataset.full) {
      details.dataset.full = '1';
      const filled = fill();
      if (filled) details.append(filled);
    }
  };
}

const pretty = (value) => (typeof value === 'string' ? value : JSON.stringify(value, null, 2));

function parametersTable(parameters) {
  const rows = parameters.map((p) => el('tr', {}, el('td', {}, el('code', { text: p.name })), el('td', { text: p.in }),
    el('td', { class: 'kind', text: kind(p.schema.$ref ? resolve(p.schema) : p.schema) }), el('td', {}, prose(p.description))));
  const head = ['name', 'in', 'value', ''].map((text) => el('th', { scope: 'col', text }));
  return el('div', { class: 'scroll' }, el('table', {}, el('thead', {}, el('tr', {}, ...head)), el('tbody', {}, ...rows)));
}

function responseView(status, response) {
  const box = el('details', { ontoggle: openOnce(() => responseBody(response)) });
  const tone = status < '400' ? 'good' : 'bad';
  box.append(el('summary', {}, el('b', { class: tone, text: status }), ' ', ...inline(response.description)));
  return box;
}

function responseBody(response) {
  const box = el('div', { class: 'fields' });
  for (const [name, header] of Object.entries(response.headers || {})) {
    box.append(el('p', {}, el('code', { text: name }), ' ', ...inline(resolve(header).description)));
  }
  for (const [media, content] of Object.entries(response.content || {})) {
    box.append(el('p', {}, el('code', { text: media }), ' ', el('span', { class: 'kind', text: kind(content.schema) })));
    const example = content.example || (content.schema.examples || [])[0];
    if (example) box.append(el('pre', { text: pretty(example), tabindex: '0' }));
    for (const { properties } of resolve(content.schema).oneOf || []) {
      const schema = properties.data.contentSchema;
      box.append(el('details', { ontoggle: openOnce(() => fields(schema)) },
        el('summary', {}, el('code', { text: properties.event.const }), ' ', ...inline(resolve(schema).description))));
    }
    const list = fields(content.schema);
    if (list) box.append(list);
  }
  for (const [name, link] of Object.entries(response.links || {})) {
    box.append(el('p', { class: 'kind' }, 'then: ', el('a', { href: `#${link.operationId}`, text: name })));
  }
  return box;
}

// The form that sends a real request to this server.
function tryIt(method, path, operation, parameters) {
  const inputs = new Map();
  const grid = el('div', { class: 'grid' });
  for (const parameter of parameters) {
    const words = resolve(parameter.schema).enum;
    const id = `${operation.operationId}-${parameter.name}`;
    const input = words
      ? el('select', { id }, el('option', { value: '', text: '(any)' }), ...words.map((text) => el('option', { text })))
      : el('input', { id, required: parameter.required, autocomplete: 'off' });
    inputs.set(parameter, input);
    grid.append(el('div', {}, el('label', { for: id, text: `${parameter.name} (${parameter.in})` }), input));
  }
  const media = operation.requestBody && operation.requestBody.content['application/json'];
  const bodyId = `${operation.operationId}-body`;
  const example = media && Object.values(media.examples || {})[0];
  const body = media && el('textarea', { id: bodyId, spellcheck: 'false', text: example ? pretty(example.value) : '{}' });
  const output = el('div', { 'aria-live': 'polite' });
  let running;
  const stop = el('button', { type: 'button', text: 'Stop', hidden: true, onclick: () => running && running.abort() });
  const send = async (event) => {
    event.preventDefault();
    if (running) running.abort();
    running = new AbortController();
    stop.hidden = false;
    await request(method, path, inputs, body, output, running.signal);
    stop.hidden = true;
  };
  return el('form', { onsubmit: send }, el('h4', { text: 'Try it' }), grid,
    body && el('label', { for: bodyId, text: 'body' }), body, el('p', {}, el('button', { text: 'Send' }), stop), output);
}

async function request(method, path, inputs, body, output, signal) {
  const headers = {};
  const query = new URLSearchParams();
  let target = path;
  for (const [parameter, input] of inputs) {
    const value = input.value;
    if (value === '') continue;
    if (parameter.in === 'path') target = target.replace(`{${parameter.name}}`, encodeURIComponent(value));
    else if (parameter.in === 'query') query.set(parameter.name, value);
    else headers[parameter.name] = value;
  }
  if (body) headers['Content-Type'] = 'application/json';
  if (query.size) target += `?${query}`;
  const shown = el('pre', { tabindex: '0' });
  const line = el('p', {}, `${method} ${target} … `);
  output.replaceChildren(line, shown);
  try {
    const answer = await fetch(target, { method, headers, body: body ? body.value : undefined, signal });
    line.append(el('b', { class: answer.ok ? 'good' : 'bad', text: `${answer.status}` }));
    for (const name of ['location', 'retry-after', 'idempotent-replayed', 'preference-applied', 'x-request-id']) {
      if (answer.headers.has(name)) line.append(' ', el('code', { text: `${name}: ${answer.headers.get(name)}` }));
    }
    await show(answer, shown);
  } catch (error) {
    if (error.name !== 'AbortError') line.append(el('span', { class: 'bad', text: String(error) }));
  }
}

// Streams are shown as they come, the last of them if they are long.
async function show(answer, shown) {
  const type = answer.headers.get('content-type') || '';
  if (type.includes('json')) {
    const text = await answer.text();
    try { shown.textContent = pretty(JSON.parse(text)); } catch { shown.textContent = text; }
    return;
  }
  if (!answer.body) return;
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  for (let part = await reader.read(); !part.done; part = await reader.read()) {
    shown.textContent = (shown.textContent + part.value).slice(-100000);
    shown.scrollTop = shown.scrollHeight;
  }
}

function routeView(method, path, operation) {
  const parameters = (operation.parameters || []).map(resolve);
  const fill = () => {
    const box = el('div', {}, operation.description ? prose(operation.description) : undefined);
    if (parameters.length) box.append(el('h4', { text: 'Parameters' }), parametersTable(parameters));
    const media = operation.requestBody && operation.requestBody.content['application/json'];
    if (media) {
      box.append(el('h4', { text: `Body: ${kind(media.schema)}` }), fields(media.schema));
      for (const [name, example] of Object.entries(media.examples || {})) {
        box.append(el('details', {}, el('summary', { text: `Example: ${name}` }), el('pre', { text: pretty(example.value), tabindex: '0' })));
      }
    }
    box.append(el('h4', { text: 'Answers' }));
    for (const [status, response] of Object.entries(operation.responses)) box.append(responseView(status, response));
    box.append(tryIt(method, path, operation, parameters));
    return box;
  };
  return el('details', { class: 'route', id: operation.operationId, ontoggle: openOnce(fill) },
    el('summary', {}, el('b', { class: `method ${method}`, text: method }), el('code', { text: path }),
      el('span', { text: operation.summary })));
}

function render() {
  const main = document.getElementById('routes');
  const contents = document.getElementById('contents');
  document.getElementById('version').textContent = api.info.version;
  main.replaceChildren(prose(api.info.description));
  for (const tag of api.tags) {
    const list = el('ul');
    const section = el('section', {}, el('h2', { text: tag.name }), prose(tag.description));
    for (const [path, item] of Object.entries(api.paths)) {
      for (const [verb, operation] of Object.entries(item)) {
        if (!operation.tags.includes(tag.name)) continue;
        const method = verb.toUpperCase();
        section.append(routeView(method, path, operation));
        list.append(el('li', {}, el('a', { href: `#${operation.operationId}` },
          el('b', { class: `method ${method}`, text: method }), ` ${path}`)));
      }
    }
    main.append(section);
    contents.append(el('section', {}, el('b', { text: tag.name }), list));
  }
}

function filter(event) {
  const words = event.target.value.toLowerCase().split(/\s+/);
  const fits = (element) => words.every((word) => element.textContent.toLowerCase().includes(word));
  for (const route of document.querySelectorAll('details.route')) route.hidden = !fits(route.querySelector('summary'));
  for (const section of document.querySelectorAll('main section')) {
    section.hidden = !section.querySelector('details.route:not([hidden])');
  }
  for (const item of document.querySelectorAll('nav li')) {
    item.hidden = document.getElementById(item.querySelector('a').hash.slice(1)).hidden;
  }
}

function openTarget() {
  const route = location.hash && document.getElementById(location.hash.slice(1));
  if (route && route.matches('details.route')) {
    route.open = true;
    route.scrollIntoView();
    route.querySelector('summary').focus();
  }
}

async function start() {
  try {
    api = await (await fetch('openapi.json')).json();
    render();
  } catch (error) {
    document.getElementById('state').textContent = `The document cannot be shown: ${error}`;
    return;
  }
  document.getElementById('filter').addEventListener('input', filter);
  addEventListener('hashchange', openTarget);
  openTarget();
}

start();
