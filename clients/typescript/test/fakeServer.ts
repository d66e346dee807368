/** An API on loopback that answers what a test says, and takes signed requests alone. */

import { readFileSync } from "node:fs";
import { createServer, type IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";
import type { TestContext } from "node:test";

import { Sha256 } from "@aws-crypto/sha256-js";
import { SignatureV4 } from "@smithy/signature-v4";

export const credentials = { accessKeyId: "AKIDEXAMPLE", secretAccessKey: "secret", sessionToken: "session" };
export const region = "eu-west-1";

/** `null` breaks the connection. */
export type Answer = { status: number; document: unknown; headers?: Record<string, string> } | null;
export type Asked = { method: string | undefined; path: string | undefined; body: unknown };

/** The first document that the function, or API Gateway itself, answered with this status to `make record`. */
export function recorded(status: number, operationId: string | null = null) {
  const all = JSON.parse(readFileSync(new URL("../../../examples.json", import.meta.url), "utf8"));
  return all.find((one: any) => one.status === status && one.operationId === operationId).answer;
}

/** Gives its answers one after the other, and remembers what was asked; the last answer is given again. */
export async function fakeServer(context: TestContext, ...answers: Answer[]) {
  const asked: Asked[] = [];
  const server = createServer(async (request, response) => {
    const body = await textOf(request);
    asked.push({ method: request.method, path: request.url, body: body ? JSON.parse(body) : null });
    const answer = answers.length > 1 ? answers.shift() : answers[0];
    if (!answer) {
      request.socket.destroy();
      return;
    }
    if (!(await isSigned(request, body))) {
      response.writeHead(403).end(JSON.stringify({ message: "The request signature we calculated does not match" }));
      return;
    }
    const text = typeof answer.document === "string" ? answer.document : JSON.stringify(answer.document);
    response.writeHead(answer.status, answer.headers).end(text);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  context.after(() => {
    server.closeAllConnections();
    server.close();
  });
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`, asked };
}

async function textOf(request: IncomingMessage): Promise<string> {
  let text = "";
  for await (const part of request.setEncoding("utf8")) {
    text += part;
  }
  return text;
}

/** Whether the signature is what the signer makes of the request for this Region and service at the time it names. */
async function isSigned(request: IncomingMessage, body: string): Promise<boolean> {
  const url = new URL(request.url ?? "", `http://${request.headers.host}`);
  const date = String(request.headers["x-amz-date"]).replace(/^(....)(..)(..T..)(..)(..Z)$/, "$1-$2-$3:$4:$5");
  const names = /SignedHeaders=([^,]*)/.exec(request.headers.authorization ?? "")?.[1]?.split(";") ?? [];
  const headers = Object.fromEntries(names.map((name) => [name, String(request.headers[name])]));
  const signer = new SignatureV4({ credentials, region, service: "execute-api", sha256: Sha256 });
  const signed = await signer.sign(
    { method: request.method ?? "", protocol: "http:", hostname: url.hostname, path: url.pathname, query: Object.fromEntries(url.searchParams), headers, body: body || undefined },
    { signingDate: new Date(date) },
  );
  return signed.headers.authorization === request.headers.authorization;
}
