'use strict';

// The driver for Node's ws: reads jobs from standard input, a line of JSON each, and
// writes the talks to standard output. What a job is: ../talk.py. The library is in
// the folder that the first argument names.

const crypto = require('crypto');
const fs = require('fs');
const path = require('path');
const readline = require('readline');

const WebSocket = require(path.join(process.argv[2], 'ws'));

const SHORT = 1000;
const CONNECTING = 20;

function payloadOf(message) {
  if (message.kind === 'text') return message.of.repeat(message.times);
  if (message.of === '') return Buffer.alloc(0);
  const one = Buffer.from(message.of, 'hex');
  return Buffer.alloc(one.length * message.times, one);
}

function recordOf(data, isBinary) {
  const kind = isBinary ? 'binary' : 'text';
  if (data.length <= SHORT) {
    return `${kind} ${data.toString(isBinary ? 'hex' : 'utf8')}`;
  }
  const digest = crypto.createHash('sha256').update(data).digest('hex');
  return `${kind} of ${data.length}: ${digest}`;
}

function optionsOf(job) {
  const options = {
    maxPayload: 0,
    perMessageDeflate: false,
    ca: job.ca ? fs.readFileSync(job.ca) : undefined,
  };
  if (job.compression) {
    options.perMessageDeflate = { threshold: 0 };
    if (job.bits) {
      options.perMessageDeflate.serverMaxWindowBits = job.bits;
      options.perMessageDeflate.clientMaxWindowBits = job.bits;
    }
  }
  return options;
}

function open(job) {
  const address = job.unix
    ? `ws+unix://${job.unix}:${new URL(job.url).pathname}`
    : job.url;
  const socket = new WebSocket(address, job.subprotocols, optionsOf(job));
  const state = { socket, inbox: [], pongs: [], wake: () => {}, closed: null };
  socket.on('message', (data, isBinary) => {
    state.inbox.push(recordOf(data, isBinary));
    state.wake();
  });
  socket.on('pong', (payload) => {
    state.pongs.push(payload.toString('hex'));
    state.wake();
  });
  socket.on('close', (code, reason) => {
    state.closed = [code, reason.toString('utf8')];
    state.wake();
  });
  return new Promise((resolve) => {
    socket.on('open', () => resolve(state));
    socket.on('error', (error) => {
      state.error = String(error);
      resolve(state);
      state.wake();
    });
  });
}

async function until(state, condition) {
  while (!condition() && state.closed === null) {
    await new Promise((resolve) => { state.wake = resolve; });
  }
}

async function take(state, step, talk) {
  const { socket } = state;
  switch (step.do) {
    case 'send':
      socket.send(payloadOf(step));
      break;
    case 'fragments':
      step.parts.forEach((part, index) => {
        const fin = index === step.parts.length - 1;
        socket.send(payloadOf(part), { fin, binary: part.kind === 'binary' });
      });
      break;
    case 'receive':
      for (let count = 0; count < step.count; count += 1) {
        await until(state, () => state.inbox.length > 0);
        if (state.inbox.length === 0) return;
        talk.received.push(state.inbox.shift());
      }
      break;
    case 'exchange':
      for (const message of step.messages) socket.send(payloadOf(message));
      await take(state, { do: 'receive', count: step.messages.length }, talk);
      break;
    case 'ping':
      socket.ping(Buffer.from(step.payload, 'hex'));
      await until(state, () => state.pongs.length > 0);
      talk.pongs.push(...state.pongs.splice(0));
      break;
    default:
      socket.close(step.code, step.reason);
  }
}

async function converse(state, steps) {
  const talk = {
    subprotocol: state.socket.protocol || null,
    compressed: state.socket.extensions.includes('permessage-deflate'),
    received: [],
    pongs: [],
    closed: null,
    error: null,
  };
  for (const step of steps) {
    if (state.closed !== null) break;
    await take(state, step, talk);
  }
  await until(state, () => false);
  talk.closed = state.closed;
  talk.error = state.error || null;
  return talk;
}

async function run(job) {
  const waiting = [...job.talks.entries()];
  const talks = [];
  const all = [];
  async function opener() {
    while (waiting.length > 0) {
      const [index, steps] = waiting.shift();
      const state = await open(job);
      all.push(converse(state, steps).then((talk) => { talks[index] = talk; }));
    }
  }
  await Promise.all(Array.from({ length: CONNECTING }, opener));
  await Promise.all(all);
  return talks;
}

async function main() {
  for await (const line of readline.createInterface({ input: process.stdin })) {
    process.stdout.write(`${JSON.stringify(await run(JSON.parse(line)))}\n`);
  }
}

main();
