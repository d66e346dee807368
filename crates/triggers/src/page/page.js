// What the deployment put in, and nothing else.
const meta = name => document.querySelector(`meta[name="ami-share-${name}"]`).content;
const ISSUER = meta("issuer"),
	TOKEN_ORIGIN = meta("token-origin"),
	CLIENT = meta("client-id");
const HOME = location.origin + location.pathname;
const API = HOME.replace(/\/?$/, "/");
const PENDING = "ami-share.sign-in"; // in sessionStorage between here and the issuer: never a token
const MINUTE = 60_000,
	DAY = 1440 * MINUTE,
	SOON = 7 * DAY;

const [main, views, person, who, said] = ["main", "views", "person", "who", "said"].map(id => document.getElementById(id));

// ---- Elements: text is only ever text.

/// `h("p.soft", { id: "why" }, "text", child)`
function h(tag, ...content) {
	const [name, ...classes] = tag.split(".");
	const element = document.createElement(name);
	if (classes.length) element.className = classes.join(" ");
	const attributes = content[0]?.constructor === Object ? content.shift() : {};
	for (const [key, value] of Object.entries(attributes)) {
		if (value == null || value === false) continue;
		if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
		else element.setAttribute(key, value === true ? "" : value);
	}
	element.append(...content.flat(Infinity).filter(child => child || child === 0));
	return element;
}

function shape(kind) {
	const space = "http:" + "//www.w3.org/2000/svg";
	const svg = document.createElementNS(space, "svg"),
		use = document.createElementNS(space, "use");
	svg.setAttribute("class", kind);
	svg.setAttribute("aria-hidden", "true");
	use.setAttribute("href", `#s-${kind}`);
	svg.append(use);
	return svg;
}

const strong = (...content) => h("strong", ...content);
const code = (...content) => h("code", ...content);
const soft = (...content) => h("span.soft", ...content);
const small = (...content) => h("span.soft.small", ...content);
const h2 = (...content) => h("h2", ...content);
const inline = (...content) => h("div.row", ...content);
const stack = (...content) => h("div.stack", ...content);
const field = (control, label, more) => h("div.field", h("label", { for: control.id }, label), control, more);
const searchField = (id, placeholder, oninput) => h("input", { type: "search", id, placeholder, oninput, autocomplete: "off", spellcheck: "false" });
const button = (text, onclick, kind) => h(kind ? `button.${kind}` : "button", { type: "button", onclick }, text);
const say = text => void (said.textContent = text);
const show = (...children) => main.replaceChildren(...children);
const heading = text => h("h1", { tabindex: -1 }, text);

function copyable(text) {
	const press = button("Copy", async () => {
		try {
			await navigator.clipboard.writeText(text);
			press.textContent = "Copied";
			say("Copied");
		} catch {
			getSelection().selectAllChildren(box);
			say("Selected: copy it with the keyboard");
		}
	});
	const box = h("pre", { tabindex: 0, role: "group", "aria-label": "Text to copy" }, text);
	return h("div.copy", box, press);
}

const verdict = (kind, ...content) => h(`div.verdict.${kind}`, shape(kind), stack(...content));
const facts = pairs =>
	h(
		"dl",
		pairs.filter(([, value]) => value).map(([name, value]) => [h("dt", name), h("dd", value)])
	);
const waiting = text => h("div.wait", { role: "status" }, h("progress", { "aria-label": "In progress" }), h("span", text));
const state = (title, ...content) => h("section.sheet.state.center", heading(title), ...content);

// ---- Words.

const dateTime = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });
const date = new Intl.DateTimeFormat(undefined, { dateStyle: "medium" });
const relative = new Intl.RelativeTimeFormat(undefined, { numeric: "auto" });
const at = (text, format = dateTime) => {
	const time = new Date(text);
	return isNaN(time) ? String(text) : format.format(time);
};
const UNITS = [
	["day", DAY],
	["hour", 60 * MINUTE],
	["minute", MINUTE]
];
function until(text) {
	const left = new Date(text) - Date.now();
	const [unit, length] = UNITS.find(([, length]) => Math.abs(left) >= 2 * length) ?? UNITS[2];
	return isNaN(left) ? String(text) : `${at(text)} (${relative.format(Math.round(left / length), unit)})`;
}
const count = (number, one) => `${number.toLocaleString()} ${one}${number === 1 ? "" : "s"}`;
const list = items => new Intl.ListFormat(undefined, { type: "conjunction" }).format(items.map(String));
const titled = code =>
	String(code)
		.replace(/([a-z])([A-Z])/g, "$1 $2")
		.toLowerCase()
		.replace(/^./, first => first.toUpperCase());
const idOf = target => String(target).split("/").pop(); // an organization's or a unit's ARN ends with its ID
const names = new Map(); // target ID → its name in the directory
const nameOf = target => names.get(idOf(target)) ?? idOf(target);
const fullName = target => (names.has(idOf(target)) ? `${nameOf(target)} (${idOf(target)})` : idOf(target));
/// 30d, 12h or 45m in milliseconds.
const lasting = text => {
	const match = /^(\d+)([mhd])$/.exec(text ?? "");
	return match ? match[1] * { m: MINUTE, h: 60 * MINUTE, d: DAY }[match[2]] : Infinity;
};
function spoken(time) {
	const [unit, length] = UNITS.find(([, length]) => time % length === 0) ?? UNITS[2];
	return count(time / length, unit);
}

// ---- Signing in: authorization code with PKCE (RFC 7636). The token lives in this variable alone.

let session = null;
let draft = {};

const base64url = bytes => btoa(String.fromCharCode(...new Uint8Array(bytes))).replace(/[+/=]/g, letter => ({ "+": "-", "/": "_" })[letter] ?? "");
const random = () => base64url(crypto.getRandomValues(new Uint8Array(32)));
function claimsOf(token) {
	const text = atob(token.split(".")[1].replace(/-/g, "+").replace(/_/g, "/"));
	return JSON.parse(new TextDecoder().decode(Uint8Array.from(text, letter => letter.charCodeAt(0))));
}
/// Goes to an address of the issuer with these fields.
function goTo(endpoint, fields) {
	const address = new URL(endpoint);
	for (const [name, value] of Object.entries(fields)) address.searchParams.set(name, value);
	location.assign(address);
}

async function issuer() {
	const answer = await fetch(`${ISSUER.replace(/\/$/, "")}/.well-known/openid-configuration`);
	const found = await answer.json();
	if (found.issuer !== ISSUER) throw new Error(`The issuer calls itself ${found.issuer}, not ${ISSUER}.`);
	const origin = new URL(found.token_endpoint).origin;
	if (origin !== new URL(ISSUER).origin && origin !== TOKEN_ORIGIN)
		throw new Error(`Tokens are given at ${origin}, which the deployment must name in AMI_SHARE_PAGE_TOKEN_ORIGIN.`);
	return found;
}

async function signIn() {
	show(state("Signing in", waiting(`Asking ${new URL(ISSUER).host}`)));
	try {
		const found = await issuer();
		const pending = { state: random(), nonce: random(), verifier: random(), hash: location.hash, draft };
		sessionStorage.setItem(PENDING, JSON.stringify(pending));
		const challenge = base64url(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(pending.verifier)));
		goTo(found.authorization_endpoint, {
			response_type: "code",
			client_id: CLIENT,
			redirect_uri: HOME,
			scope: "openid",
			state: pending.state,
			nonce: pending.nonce,
			code_challenge: challenge,
			code_challenge_method: "S256"
		});
	} catch (error) {
		signedOut("Signing in failed", error.message);
	}
}

/// Back from the issuer: exchanges the code for a token.
async function comeBack(parameters) {
	const pending = JSON.parse(sessionStorage.getItem(PENDING) ?? "null");
	sessionStorage.removeItem(PENDING);
	history.replaceState(null, "", HOME + (pending?.hash ?? ""));
	if (!pending || parameters.get("state") !== pending.state || (parameters.get("iss") ?? ISSUER) !== ISSUER)
		throw new Error("The answer does not belong to a sign-in that began in this tab. Sign in again.");
	draft = pending.draft ?? {};
	if (parameters.has("error")) throw new Error(`The issuer says: ${parameters.get("error_description") ?? parameters.get("error")}`);
	const found = await issuer();
	const answer = await fetch(found.token_endpoint, {
		method: "POST",
		body: new URLSearchParams({
			grant_type: "authorization_code",
			code: parameters.get("code"),
			redirect_uri: HOME,
			client_id: CLIENT,
			code_verifier: pending.verifier
		})
	});
	const given = await answer.json().catch(() => ({}));
	// The ID token: its audience is this page's client at every issuer, which an access token's need not be.
	const token = given.id_token ?? given.access_token;
	if (!answer.ok || !token) throw new Error(`The issuer gave no token: ${given.error_description ?? given.error ?? answer.status}`);
	const claims = claimsOf(token);
	if (claims.iss !== ISSUER || (given.id_token && claims.nonce !== pending.nonce)) throw new Error("The token is not the answer to this sign-in.");
	session = { token, claims, requester: `jwt:${claims.iss}#${claims.sub}` };
	const left = claims.exp * 1000 - Date.now();
	if (left < 2 ** 31) setTimeout(end, Math.max(left, 0));
}

function end() {
	if (!session) return;
	session = null;
	leaving.abort();
	signedOut("Your session has ended", "What you have filled in is kept.");
}

async function signOut() {
	session = null;
	draft = {};
	catalogue.forget();
	leaving.abort();
	signedOut("You are signed out", `You may still have a session at ${new URL(ISSUER).host}.`);
	const found = await issuer().catch(() => ({}));
	if (!found.end_session_endpoint) return;
	// Amazon Cognito calls the redirect URI `logout_uri`.
	goTo(found.end_session_endpoint, { client_id: CLIENT, post_logout_redirect_uri: HOME, logout_uri: HOME });
}

function signedOut(
	title = "Share machine images",
	text = "Ask for an image in your account, approve what others ask for, and see who can really launch what."
) {
	document.title = "AMI Share";
	views.hidden = person.hidden = true;
	main.className = "";
	show(state(title, h("p.soft", text), inline(button("Sign in", signIn, "main"), small(`at ${new URL(ISSUER).host}`))));
	main.querySelector("h1").focus();
	say(title);
}

// ---- Calling the API.

/// A path with those of the fields that have a value. The API takes a `+` for itself, so a space is `%20`.
const query = (path, fields) =>
	path +
	Object.entries(fields)
		.filter(([, value]) => value)
		.map(([name, value], index) => `${index ? "&" : "?"}${name}=${encodeURIComponent(value)}`)
		.join("");
const pause = async (time, signal) => {
	await new Promise(resolve => setTimeout(resolve, time));
	signal.throwIfAborted();
};

/// The outcome document with `http`, the status. API Gateway's own answers lack the lists.
const outcomeOf = (document, http) => ({ images: [], approvals: [], refusals: [], errors: [], warnings: [], ...document, http });

/// What the API answers. Reading is tried again where the API says that it helps.
async function call(method, path, body, signal = leaving.signal) {
	for (let tries = 0; ; tries++) {
		signal.throwIfAborted();
		const headers = { authorization: `Bearer ${session.token}` };
		if (body) headers["content-type"] = "application/json";
		let answer;
		try {
			answer = await fetch(API + path, {
				method,
				headers,
				signal,
				body: body && JSON.stringify(body),
				cache: "no-store",
				credentials: "omit"
			});
		} catch (error) {
			if (signal.aborted) throw error;
			return outcomeOf({ errors: [{ message: "The API can't be reached. Your connection, or a proxy, may be in the way." }] }, 0);
		}
		const outcome = outcomeOf(await answer.json().catch(() => ({})), answer.status);
		// API Gateway's own answer has no refusals: it did not accept the token.
		if (answer.status === 401 && !outcome.refusals.length) end();
		signal.throwIfAborted();
		const isBusy = [429, 503].includes(answer.status) || (answer.status === 409 && outcome.retryable);
		if (isBusy && (method === "GET" || body?.action === "audit") && tries < 3) {
			await pause(1000 * (Number(answer.headers.get("retry-after")) || 2), signal);
			continue;
		}
		return outcome;
	}
}

const isFine = outcome => outcome.http >= 200 && outcome.http < 300;
const refusedFor = (outcome, code) => outcome.refusals.some(refusal => refusal.code === code);

function remedy({ remedy, statements }) {
	if (statements?.length) return toAdd(statements);
	return remedy && [h("span.label", "What helps"), /[{\n]|^aws /.test(remedy) ? copyable(remedy) : h("span", remedy)];
}
const toAdd = statements => [h("span.label", "To let it in, add to the key's policy"), copyable(JSON.stringify(statements, null, 2))];

/// What stands in the way, or failed.
function refusals(outcome) {
	const rows = [
		...outcome.refusals.map(one => verdict("not", strong(titled(one.code)), h("span", one.message), remedy(one))),
		...outcome.errors.map(error => verdict("unknown", h("span", error.message), error.call && small(error.call)))
	];
	const other = outcome.message ?? `The API answered with the status ${outcome.http}.`;
	return rows.length || isFine(outcome) ? rows : [verdict("unknown", h("span", other))];
}

const warnings = outcome => outcome.warnings.map(warning => verdict("unknown", h("span", warning)));

/// What is shown where a view has nothing to show, because it was refused or something failed.
function problem(outcome) {
	if (refusedFor(outcome, "RequesterNotAllowed"))
		return state(
			"Nobody has let you in yet",
			h("p", "No rule of the allowlist names you. Give this to whoever keeps it:"),
			copyable(session.requester),
			button("Try again", enter)
		);
	return state(
		outcome.result === "refused" ? "This was refused" : "This didn't work",
		stack(refusals(outcome)),
		outcome.requestId && h("p.soft.small", "Request ", code(outcome.requestId)),
		button("Try again", enter)
	);
}

/// What this person may have: read once, in pages.
const catalogue = {
	images: [],
	complete: false,
	forget() {
		Object.assign(this, { images: [], complete: false, token: undefined });
		names.clear();
	},
	async read(shown) {
		while (!this.complete) {
			const outcome = await call("GET", query("images", { nextToken: this.token }));
			if (!isFine(outcome)) return outcome;
			this.images.push(...outcome.images);
			for (const target of outcome.images.flatMap(image => image.may.flatMap(may => may.targets)))
				if (target.name) names.set(idOf(target.id), target.name);
			this.token = outcome.nextToken;
			this.complete = !this.token;
			shown?.();
		}
		return undefined;
	}
};

// ---- Ask.

const shares = image => image.may.filter(may => may.actions.includes("share"));

/// Whether a text has all the words; a wildcard only separates them.
function matcher(text) {
	const words = text.toLowerCase().match(/[^\s*]+/g) ?? [];
	return hay => words.every(word => hay.toLowerCase().includes(word));
}
const tags = image => Object.entries(image.tags).map(([name, value]) => `${name}: ${value}`);
const hay = image => [image.name, image.imageId, image.architecture, ...tags(image)].join(" ");

async function ask() {
	const total = h("span.soft.small", { role: "status" });
	const search = searchField("search", "web-*, a tag, an ID", fill);
	const rows = h("fieldset.list");
	const panel = h("section.sheet.stack.loose", { "aria-label": "The image" });
	const images = h(
		"section.sheet.images",
		{ "aria-label": "Images" },
		h("div.top", h("div.row.between", h("label", { for: "search" }, "Find an image"), total), search),
		rows
	);
	function fill() {
		const fits = matcher(search.value);
		const found = catalogue.images
			.filter(image => fits(hay(image)))
			.sort((one, other) => String(other.created ?? "").localeCompare(String(one.created ?? "")));
		const all = count(catalogue.images.length, "image");
		total.textContent = found.length === catalogue.images.length ? all : `${found.length.toLocaleString()} of ${all}`;
		rows.replaceChildren(h("legend.unseen", "Images"), ...found.slice(0, 200).map(option));
		if (found.length > 200) rows.append(h("p.wait", `${count(found.length - 200, "more image")}: narrow the search.`));
		if (!found.length && catalogue.complete)
			rows.append(h("p.wait", catalogue.images.length ? "No image fits this search." : "Your rules cover no image of this Region."));
		if (!catalogue.complete) rows.append(waiting(`Reading images: ${catalogue.images.length.toLocaleString()} so far`));
	}
	function option(image) {
		return h(
			"label.image",
			h("input", {
				type: "radio",
				name: "image",
				value: image.imageId,
				checked: draft.imageId === image.imageId,
				onchange: () => choose(image)
			}),
			h("b", image.name ?? image.imageId),
			small(image.created && at(image.created, date)),
			h(
				"span.facts",
				[image.imageId, image.architecture, image.state === "available" ? null : image.state, ...tags(image)].filter(Boolean).join(" · ")
			)
		);
	}
	function choose(image) {
		if (draft.imageId !== image.imageId) draft = { imageId: image.imageId, target: draft.target, reason: draft.reason };
		order(panel, image);
	}
	const layout = h("div.ask", images, panel);
	panel.append(
		stack(h2("Choose an image"), h("p.soft", "Then choose for whom. You see at once whether it could be launched there, and what is missing if not."))
	);
	show(heading("Ask for an image"), layout);
	fill();
	const outcome = await catalogue.read(fill);
	if (outcome) return void show(problem(outcome));
	fill();
	const chosen = catalogue.images.find(image => image.imageId === draft.imageId);
	if (chosen) choose(chosen);
}

/// What can be told of an image before anything is chosen.
const about = image =>
	stack(
		h2(image.name ?? image.imageId),
		facts([
			["ID", code(image.imageId)],
			["Created", image.created && at(image.created)],
			["Architecture", image.architecture],
			["Encrypted", image.encrypted ? "yes: a key must let the target in" : "no"],
			["State", image.state],
			["Tags", tags(image).join(" · ")],
			["Watermarks", list(image.watermarks ?? [])]
		])
	);

/// How long a share may last: milliseconds, or "" until it is taken back. The first is chosen unless another was.
function durations(longest) {
	const usual = [60 * MINUTE, 480 * MINUTE, DAY, 7 * DAY, 30 * DAY, 90 * DAY, 365 * DAY].filter(time => time < longest);
	return [longest < Infinity ? longest : "", ...usual];
}

const fieldOf = target => (/^\d{12}$/.test(target) ? "accountIds" : /^ou-/.test(idOf(target)) ? "organizationalUnitArns" : "organizationArns");

/// The form for one image, with a check that follows it.
function order(panel, image) {
	const can = shares(image);
	const targets = [...new Map(can.flatMap(may => may.targets).map(target => [idOf(target.id), target])).values()].sort((one, other) =>
		nameOf(one.id).localeCompare(nameOf(other.id))
	);
	if (!targets.length)
		return void panel.replaceChildren(about(image), verdict("none", h("span", "You may look at this image, but no rule lets you share it.")));

	const select = (id, onchange, ...options) => h("select", { id, onchange }, options);
	const target = select(
		"target",
		newTarget,
		h("option", { value: "" }, "Choose an account or unit"),
		targets.map(one => h("option", { value: one.id, selected: idOf(one.id) === idOf(draft.target ?? "") }, fullName(one.id)))
	);
	const access = select("access", changed);
	const expiry = select("expiry", changed);
	const day = h("input", { type: "datetime-local", "aria-label": "Until, date and time", onchange: check });
	const copied = h("input", { type: "checkbox", onchange: changed });
	const copy = h("label.free.all", copied, "Share a copy of it, on a key that can be shared");
	const reason = h("textarea", { id: "reason", maxlength: 500, rows: 2 });
	reason.value = draft.reason ?? "";
	reason.oninput = () => (draft.reason = reason.value);
	const more = h(
		"div.terms",
		field(access, "Access"),
		field(expiry, "Until", day),
		copy,
		h("div.field.all", h("label", { for: "reason" }, "Reason ", small("kept in the log")), reason)
	);
	const findings = h("div.stack", { "aria-live": "polite" });
	const send = button("Send", submit, "main");
	const actions = h("div.row", send, button("Check again", check, "plain"));
	panel.replaceChildren(about(image), field(target, "For whom"), more, findings, actions);
	let asking = new AbortController();

	const rules = () => can.filter(may => may.targets.some(one => idOf(one.id) === idOf(target.value)));
	const needsApproval = () => rules().some(may => may.approval);
	const longest = () => Math.max(...rules().map(may => lasting(may.maxDuration)));

	function newTarget() {
		draft.copyFrom = undefined;
		terms();
		check();
	}
	/// What the rules for this target leave to choose.
	function terms() {
		draft.target = target.value;
		more.hidden = actions.hidden = !target.value;
		if (!target.value) return void findings.replaceChildren();
		const fill = (control, options, wanted) =>
			control.replaceChildren(...options.map(([value, text]) => h("option", { value, selected: value === wanted }, text)));
		const copies = rules().some(may => may.access === "copy");
		fill(access, [["launch", "launch"], ...(copies ? [["copy", "launch and copy"]] : [])], draft.access);
		const most = longest(),
			words = time => (time === "" ? "it is taken back" : `${spoken(time)} from now${time === most ? ", the longest" : ""}`),
			lengths = durations(most).map(time => [String(time), words(time)]);
		fill(expiry, [...lengths, ["date", "a date …"]], draft.expiry);
		offerCopy(draft.copyFrom);
		keep();
	}
	function offerCopy(region) {
		copy.hidden = !region;
		copied.value = region;
		copied.checked = Boolean(draft.copyFrom);
	}
	function changed() {
		keep();
		check();
	}
	/// Keeps what is chosen beyond the end of the session.
	function keep() {
		Object.assign(draft, { access: access.value, expiry: expiry.value, copyFrom: copied.checked ? copied.value : undefined });
		day.hidden = expiry.value !== "date";
		if (day.hidden || day.value) return;
		const week = new Date(Date.now() + 7 * DAY);
		week.setMinutes(week.getMinutes() - week.getTimezoneOffset());
		day.value = week.toISOString().slice(0, 16);
	}
	function expiresAt() {
		if (!expiry.value) return undefined;
		const length = Number(expiry.value);
		// Somewhat less than the longest: this clock may be ahead of AWS's.
		const time = expiry.value === "date" ? new Date(day.value) : new Date(Date.now() + length - (length >= longest() ? 5 * MINUTE : 0));
		return isNaN(time) ? undefined : time.toISOString().replace(/\.\d+Z$/, "Z");
	}
	/// What the form says, in the API's words.
	const wish = () => ({ access: access.value, expiresAt: expiresAt(), copyFrom: draft.copyFrom });
	const ask = (fields, signal) => call("GET", query(`images/${image.imageId}/shares/${idOf(target.value)}`, fields), undefined, signal);
	const ready = isReady => (send.ariaDisabled = String(!isReady));

	async function check() {
		asking.abort();
		asking = new AbortController();
		const signal = AbortSignal.any([asking.signal, leaving.signal]);
		ready(false);
		if (!target.value) return;
		actions.hidden = false;
		findings.replaceChildren(waiting("Reading what EC2 and the keys say"));
		await pause(150, signal);
		const outcome = await ask(wish(), signal);
		findings.replaceChildren(...told(outcome, target.value, needsApproval()));
		const wayOut = outcome.refusals.find(refusal => refusal.code === "DefaultKey")?.values?.copyFrom;
		if (wayOut) offerCopy(wayOut);
		const row = rowOf(outcome, target.value);
		ready(isFine(outcome) && row?.accepted !== false && !outcome.refusals.length);
		send.textContent = needsApproval() ? "Send for approval" : row?.state === "shared" ? "Share again" : "Share";
	}

	async function submit() {
		if (send.ariaDisabled === "true")
			return void (
				findings.querySelector(".verdict")?.scrollIntoView({ block: "nearest" }),
				say("It can't be sent: see what stands in the way above the button.")
			);
		ready(false);
		actions.hidden = true;
		findings.replaceChildren(waiting("Sending"));
		const outcome = await call("POST", `images/${image.imageId}/shares`, {
			[fieldOf(target.value)]: [target.value],
			...wish(),
			reason: reason.value.trim() || undefined
		});
		findings.replaceChildren(...sent(outcome, target.value, check));
		if (outcome.http === 202) follow(target.value, outcome.approval?.id);
	}

	/// Looks again until what waits is shared, or waits no longer.
	async function follow(wanted, approval) {
		for (let time = 10_000; ; time = Math.min(time * 1.5, MINUTE)) {
			await pause(time, leaving.signal);
			if (!target.isConnected || target.value !== wanted || !actions.hidden) return;
			if (document.hidden) continue;
			const waits = approval && (await asks());
			const outcome = await ask({ copyFrom: draft.copyFrom });
			const state = rowOf(outcome, wanted)?.state;
			if (state === "shared") {
				findings.replaceChildren(...told(outcome, wanted));
				return void say("It is shared now");
			}
			if (!approval || waits.outcome || waits.found.some(one => one.id === approval)) continue;
			if (state === "waiting") findings.replaceChildren(...told(outcome, wanted));
			else if (isFine(outcome))
				return void findings.replaceChildren(
					verdict(
						"not",
						strong("It waits no longer, and was not shared."),
						h("span", "It was rejected or withdrawn, or something else stood in its way.")
					),
					inline(button("Check again", check))
				);
		}
	}

	terms();
	check();
}

const rowOf = (outcome, target) => outcome.images[0]?.targets?.find(row => idOf(row.target) === idOf(target));

/// What a target that has the image can do with it.
function standing(row) {
	const kind = KINDS[row.launch] ? row.launch : "unknown";
	const can = { really: "and can launch it", not: "but can't launch it now", unknown: "and whether it can launch it is not known" };
	return verdict(kind, strong(`${nameOf(row.target)} has this image, ${can[kind]}.`), row.expiresAt && soft(`Until ${until(row.expiresAt)}.`));
}

/// What a share waits for.
function underWay({ approval, images }) {
	const copy = images[0]?.copy;
	if (approval)
		return verdict(
			"waiting",
			strong("It waits for somebody to approve it."),
			h("span", `By the rule ${list(approval.rules)}. It waits until ${until(approval.until)}.`),
			h("span", "You can withdraw it under ", h("a", { href: "#/approve" }, "Approve"), ".")
		);
	return verdict(
		"waiting",
		strong(copy ? "EC2 is making the copy. It is shared by itself when it is there." : "It was accepted, and continues by itself."),
		copy?.until && h("span", `It is given up if it isn't there by ${until(copy.until)}.`),
		copy &&
			facts([
				["Copy", code(images[0].imageId ?? "no ID yet")],
				["State", copy.state],
				["Key", copy.keyArn && code(copy.keyArn)]
			])
	);
}

/// A check in one sentence.
function sentence(outcome, target, needsApproval) {
	const row = rowOf(outcome, target),
		who = nameOf(target),
		image = outcome.images[0];
	if (row?.state === "shared") return standing(row);
	if (row?.state === "waiting") return underWay(outcome);
	if (!row?.accepted || outcome.refusals.length) return verdict("not", strong(`${who} doesn't have this image, and it can't be shared like this.`));
	if (needsApproval) return verdict("waiting", strong(`${who} can have this image once somebody approves it.`));
	if (image.copy?.state === "none") return verdict("waiting", strong(`${who} can have a copy of this image once EC2 has made it.`));
	return image.keys?.every(key => idOf(key.target) !== idOf(target) || key.verdict === "allowed" || key.grant === "planned")
		? verdict("really", strong(`${who} can have this image, and will be able to launch it.`))
		: verdict("unknown", strong(`${who} can have this image. Whether it can launch it depends on what follows.`));
}

/// What a check says.
const told = (outcome, target, needsApproval) =>
	isFine(outcome)
		? [sentence(outcome, target, needsApproval), ...refusals(outcome), ...keys(outcome, target), ...warnings(outcome)]
		: refusals(outcome);

const KEY = {
	allowed: ["really", "lets it in"],
	missing: ["not", "does not let it in"],
	denied: ["not", "denies it"],
	conditional: ["unknown", "lets it in under conditions"]
};

/// What each key says of the target, with the remedy, except of keys that a refusal has told.
function keys(outcome, target) {
	const told = new Set(outcome.refusals.map(refusal => refusal.keyArn));
	return outcome.images
		.flatMap(image => image.keys)
		.filter(key => idOf(key.target) === idOf(target) && !told.has(key.keyArn))
		.map(key => {
			const isPlanned = key.grant === "planned";
			const [kind, words] = isPlanned
				? ["waiting", "lets it in by a grant, which sharing makes"]
				: (KEY[key.verdict] ?? ["unknown", "can't be judged"]);
			const by = key.because.map(one => one.sid ?? one.grantName ?? one.grantId ?? `statement ${one.index}`);
			const some = items => items.length > 0 && list(items);
			return h(
				"div.key.stack",
				h("div.head", shape(kind), h("div", strong(`A key ${words}`), " ", h("code.soft", key.keyArn))),
				facts([
					["Because of", some(by)],
					["Missing", !isPlanned && some(key.missing)],
					["Depends on", some(key.dependsOn)],
					["Limit", key.limits.includes("default-key-only") && "only for volumes under the target's own key"],
					["Likely to fail", some(key.likelyToFail)]
				]),
				key.remedy?.length > 0 && !isPlanned && toAdd(key.remedy)
			);
		});
}

/// What became of a share.
function sent(outcome, target, again) {
	const foot = outcome.requestId ? [small("Request ", code(outcome.requestId))] : [];
	if (outcome.http === 202) return [underWay(outcome), soft("This page looks again by itself."), ...warnings(outcome), ...foot];
	const row = rowOf(outcome, target);
	if (isFine(outcome) && ["shared", "already-shared"].includes(row?.state))
		return [standing(row), ...(row.launch === "really" ? [] : keys(outcome, target)), ...warnings(outcome), ...foot];
	return [
		verdict("not", strong(outcome.result === "incomplete" ? "Some of it was done. The same request again finishes it." : "It was not shared.")),
		...refusals(outcome),
		...warnings(outcome),
		inline(button("Check again", again), foot)
	];
}

// ---- Approve.

/// Everything that waits, or as much as came before a page failed.
async function asks() {
	const found = [];
	for (let token; ;) {
		const outcome = await call("GET", query("approvals", { nextToken: token }));
		if (!isFine(outcome)) return { outcome, found };
		found.push(...outcome.approvals);
		if (!(token = outcome.nextToken)) return { found };
	}
}

const targetsOf = request => ["accountIds", "organizationArns", "organizationalUnitArns"].flatMap(field => request[field] ?? []);
const imageName = id => catalogue.images.find(image => image.imageId === id)?.name;

async function approve() {
	show(heading("Approve"), waiting("Reading what waits"));
	await catalogue.read();
	const { outcome, found } = await asks();
	if (outcome) return void show(problem(outcome));
	const mine = found.filter(one => one.requester === session.requester),
		others = found.filter(one => one.requester !== session.requester);
	const section = (title, rows, none) => h("section.stack", h2(title), rows.length ? rows.map(card) : h("p.soft", none));
	show(
		h("div.row.between", heading("Approve"), button("Look again", enter)),
		section(`To decide (${others.length})`, others, "Nothing waits for you."),
		section(`What you asked for (${mine.length})`, mine, "You wait for nothing.")
	);
}

/// What was asked for, in whose name and why.
function wanted({ request, requester, reason, rules, until: end }) {
	return facts([
		["Asked by", h("span.mono", requester)],
		["Reason", reason ?? soft("none given")],
		["Images", h("span.mono", list(request.imageIds))],
		["Copy", request.copyFrom && `a copy of the image in ${request.copyFrom} is shared, and made first if there is none`],
		["For", list(targetsOf(request).map(fullName))],
		["Access", request.access === "copy" ? "launch and copy" : "launch"],
		["Roles", request.serviceLinkedRoles && list(request.serviceLinkedRoles)],
		["Expires", request.expiresAt ? until(request.expiresAt) : "not by itself"],
		["Rules", list(rules)],
		["Lapses", until(end)]
	]);
}

/// What a yes would do.
function plan(outcome) {
	if (!isFine(outcome)) return verdict("not", strong("It could not be carried out now."));
	const steps = outcome.images.flatMap(image => image.steps);
	if (!steps.length) return verdict("really", strong("Nothing would have to be changed: this is shared already."));
	const line = step => h("li", code(step.call), ` on ${step.resource}`, step.add?.length > 0 && `, for ${list(step.add.map(nameOf))}`);
	return verdict("really", strong(`A yes would take ${count(steps.length, "step")}:`), h("ul", steps.map(line)));
}

/// Something that waits, and what its reader may do about it.
function card(one) {
	const { request } = one,
		mine = one.requester === session.requester,
		path = `approvals/${one.id}`;
	const names = request.imageIds.map(id => imageName(id) ?? id);
	const title = h("h3", { tabindex: -1 }, list(names), " for ", list(targetsOf(request).map(nameOf)));
	const body = h("div.stack");
	const open = mine ? button("Withdraw", () => decide(false, "")) : button("Review", review, "main");

	/// Calls the API, and shows what comes of it.
	async function tell(doing, call, told) {
		open.hidden = true;
		body.replaceChildren(waiting(doing));
		const outcome = await call();
		body.replaceChildren(...told(outcome), ...warnings(outcome));
		title.focus();
	}
	function review() {
		const reason = h("textarea", { id: `reason-${one.id}`, maxlength: 500, rows: 2 });
		return tell(
			"Finding out what it would do",
			() => call("POST", `${path}?dryRun=true`, {}),
			outcome => [
				plan(outcome),
				...refusals(outcome),
				...targetsOf(request).flatMap(target => keys(outcome, target)),
				field(reason, "Your reason"),
				inline(
					isFine(outcome) && button("Approve", () => decide(true, reason.value.trim()), "main"),
					button("Reject", () => decide(false, reason.value.trim()))
				)
			]
		);
	}
	const decide = (yes, reason) =>
		tell(
			yes ? "Approving" : mine ? "Withdrawing" : "Rejecting",
			() => (yes ? call("POST", path, reason ? { reason } : {}) : call("DELETE", query(path, { reason }))),
			outcome => {
				const done = yes ? "Approved." : mine ? "Withdrawn." : "Rejected.";
				open.hidden = isFine(outcome);
				say(isFine(outcome) ? done : "It did not work.");
				return isFine(outcome) ? [verdict(yes ? "really" : "none", strong(done)), ...became(outcome)] : refusals(outcome);
			}
		);
	return h("article.sheet.stack", title, wanted(one), body, open);
}

/// What a yes has led to.
const became = outcome =>
	outcome.http === 202
		? [underWay(outcome)]
		: outcome.images
				.flatMap(image => image.targets)
				.filter(row => row.launch)
				.map(standing);

// ---- Look.

const KINDS = {
	really: "can launch",
	soon: "can launch, expires within 7 days",
	not: "shared, but can't launch",
	unknown: "depends, or not known",
	waiting: "waiting",
	none: "not shared"
};
const SHOWN = Object.keys(KINDS).filter(kind => kind !== "none");
const BY_HAND = "shared by hand";

const kindOf = row =>
	row.launch !== "really" ? (KINDS[row.launch] ? row.launch : "unknown") : row.until && new Date(row.until) - Date.now() < SOON ? "soon" : "really";

/// What is known so far: images with a cell for each target.
class Board {
	images = new Map(); // image ID → { id, name, cells: target → row }
	targets = new Set();

	put(row) {
		const target = idOf(row.target ?? row.how);
		if (!this.images.has(row.imageId)) this.images.set(row.imageId, { id: row.imageId, cells: new Map() });
		const image = this.images.get(row.imageId);
		image.name ??= row.name;
		this.targets.add(target);
		// Of a share that is there already, it is not told that it is asked for again.
		const before = image.cells.get(target);
		if (!before || before.kind === "waiting") image.cells.set(target, { ...row, kind: row.kind ?? kindOf(row) });
	}

	/// The images and targets with a cell that passes, in order.
	view(passes, order) {
		const rows = [...this.images.values()]
			.map(image => ({ image, cells: new Map([...image.cells].filter(([target, row]) => passes(image, target, row))) }))
			.filter(row => row.cells.size);
		const used = [...this.targets]
			.filter(target => rows.some(row => row.cells.has(target)))
			.sort((one, other) => names.has(other) - names.has(one) || nameOf(one).localeCompare(nameOf(other)));
		return { rows: rows.sort(ORDERS[order]), used };
	}
}

const isByHand = row => row?.rule === null && row.kind !== "waiting";
const byName = ({ image: one }, { image: other }) =>
	String(one.name ?? one.id).localeCompare(String(other.name ?? other.id)) || one.id.localeCompare(other.id);
const trouble = row => [...row.cells.values()].filter(cell => ["not", "unknown"].includes(cell.kind) || isByHand(cell)).length;
const firstEnd = row => Math.min(...[...row.cells.values()].map(cell => (cell.until ? +new Date(cell.until) : Infinity)));
const ORDERS = {
	name: byName,
	trouble: (one, other) => trouble(other) - trouble(one) || byName(one, other),
	until: (one, other) => (firstEnd(one) === firstEnd(other) ? byName(one, other) : firstEnd(one) - firstEnd(other))
};

/// The grid, in which `selected` is the cell that is told of beside it.
function grid({ rows, used }, selected, choose) {
	const cell = ({ image, cells }, target) => {
		const isHidden = image.cells.has(target) && !cells.has(target),
			row = cells.get(target),
			kind = row?.kind ?? "none";
		const words = isHidden ? "not shown" : KINDS[kind] + (isByHand(row) ? `, ${BY_HAND}` : "");
		return h(
			isByHand(row) ? "td.hand" : "td",
			{
				tabindex: -1,
				"aria-label": `${image.name ?? image.id}, ${nameOf(target)}: ${words}`,
				title: row?.why,
				"aria-selected": selected === `${image.id} ${target}` && "true",
				"data-image": image.id,
				"data-target": target
			},
			!isHidden && shape(kind)
		);
	};
	const column = target => h("th", { scope: "col" }, strong(nameOf(target)), names.has(target) && h("div.soft.mono", target));
	const line = row => {
		const { image } = row;
		return h(
			"tr",
			h("th", { scope: "row" }, h("div", image.name ?? image.id), image.name && h("div.soft.mono", image.id)),
			used.map(target => cell(row, target))
		);
	};
	const table = h(
		"table",
		{
			role: "grid",
			"aria-label": "Images and who can launch them",
			onkeydown: event => walk(event, choose),
			onclick: event => choose(event.target.closest("td"))
		},
		h("thead", h("tr", h("th", { scope: "col" }, "Image"), used.map(column))),
		h("tbody", rows.map(line))
	);
	(table.querySelector("td[aria-selected]") ?? table.querySelector("td")).tabIndex = 0;
	return table;
}

/// Moves in the grid by keys, as the grid pattern of WAI-ARIA has them.
function walk(event, choose) {
	const cell = event.target.closest("td");
	if (!cell) return;
	const row = cell.parentElement,
		line = [...row.querySelectorAll("td")],
		column = line.indexOf(cell),
		body = row.parentElement.rows;
	const below = by => body[row.sectionRowIndex + by]?.querySelectorAll("td")[column];
	const next = {
		ArrowRight: () => line[column + 1],
		ArrowLeft: () => line[column - 1],
		ArrowDown: () => below(1),
		ArrowUp: () => below(-1),
		Home: () => line[0],
		End: () => line.at(-1)
	}[event.key];
	if (event.key === "Enter" || event.key === " ") choose(cell);
	else if (event.key === "Escape") choose(null);
	else if (next) {
		const to = next() ?? cell;
		cell.tabIndex = -1;
		to.tabIndex = 0;
		to.focus();
	} else return;
	event.preventDefault();
}

/// Why a cell is as it is.
function why(image, target, row, close) {
	const kind = row?.kind ?? "none";
	const isOffered = catalogue.images.some(
		one => one.imageId === image.id && shares(one).some(may => may.targets.some(other => idOf(other.id) === target))
	);
	const goAsk = () => {
		draft = { imageId: image.id, target };
		location.hash = "#/ask";
	};
	return [
		h("div.row.between", h2(nameOf(target)), button("Close", close, "plain")),
		h("p.soft", image.name ?? image.id),
		verdict(kind, strong(`${KINDS[kind].replace(/^./, letter => letter.toUpperCase())}.`), row?.why && h("span", row.why)),
		facts([
			["How", row?.how],
			["Copy", { true: "yes", false: "no", null: "not known" }[row?.copy]],
			["Until", row?.until ? until(row.until) : row?.how && "not by itself"],
			["Rule", isByHand(row) ? h("span.not", `none: ${BY_HAND}`) : row?.rule],
			["Image", code(image.id)],
			["Target", code(target)]
		]),
		isOffered && inline(button(row ? "Check it now" : "Ask for it", goAsk))
	].filter(Boolean);
}

/// The rows as CSV (RFC 4180).
function csv({ rows, used }) {
	const text = value => {
		// A spreadsheet takes a text that begins so for a formula.
		const plain = String(value ?? ""),
			safe = /^[=+\-@\t\r]/.test(plain) ? `'${plain}` : plain;
		return /[",\n\r]/.test(safe) ? `"${safe.replace(/"/g, '""')}"` : safe;
	};
	const lines = [["image", "name", "target", "targetName", "launch", "how", "copy", "until", "rule", "why"]];
	for (const { image, cells } of rows)
		for (const target of used.filter(target => cells.has(target))) {
			const { launch, kind, how, copy, until, rule, why } = cells.get(target);
			lines.push([image.id, image.name, target, names.get(target), launch ?? kind, how, copy, until, rule, why]);
		}
	return lines.map(line => line.map(text).join(",") + "\r\n").join("");
}

function save(text, type, name) {
	const address = URL.createObjectURL(new Blob([text], { type }));
	h("a", { href: address, download: name }).click();
	setTimeout(() => URL.revokeObjectURL(address), MINUTE);
}

async function look() {
	const board = new Board(),
		kept = new Set(SHOWN),
		notes = new Map(); // what is said beside the rows, once
	let selected = null,
		complete = false,
		shown = 150;
	const progress = h("div.row", { role: "status" });
	const search = searchField("filter", "image, target or rule", draw);
	const order = h(
		"select",
		{ id: "order", onchange: draw },
		h("option", { value: "name" }, "by name"),
		h("option", { value: "trouble" }, "most trouble first"),
		h("option", { value: "until" }, "first to expire")
	);
	const box = kind => {
		const onchange = ({ target }) => {
			kept[target.checked ? "add" : "delete"](kind);
			draw();
		};
		return h("label.free", h("input", { type: "checkbox", checked: true, onchange }), shape(kind), KINDS[kind]);
	};
	const matrix = h("div.matrix");
	const details = h("aside.sheet.stack.noprint", { "aria-label": "Why", "aria-live": "polite", hidden: true });
	const layout = h("div.look.alone", matrix, details);
	const exported = () => save(csv(view()), "text/csv", `ami-share-${new Date().toISOString().slice(0, 10)}.csv`);
	show(
		h(
			"div.row.between",
			heading("Who can really launch what"),
			h(
				"div.row.noprint",
				button("Export as CSV", exported),
				button("Print", () => print()),
				button("Read again", enter, "plain")
			)
		),
		h(
			"div.filters",
			field(search, "Filter"),
			field(order, "Sort"),
			h("fieldset", h("legend", "Show"), h("div.legend", SHOWN.map(box), h("span.hand.mark", `${BY_HAND}, by no rule`)))
		),
		progress,
		layout
	);

	/// What the filters leave.
	function view() {
		const fits = matcher(search.value);
		const passes = (image, target, row) =>
			kept.has(row.kind) && fits([image.name, image.id, nameOf(target), target, isByHand(row) ? BY_HAND : row.rule].join(" "));
		return board.view(passes, order.value);
	}
	function nothing() {
		if (!complete && !board.images.size) return waiting("Reading images, permissions and keys");
		return board.images.size
			? h("div.state", h2("Nothing fits these filters"), h("p.soft", "Clear the filter, or show more kinds."))
			: h("div.state", h2("Nothing is shared yet"), h("p.soft", "None of the images that your rules cover is shared with anybody."));
	}
	function draw() {
		const { rows, used } = view();
		if (!rows.length) return void matrix.replaceChildren(nothing());
		const more = () => {
			shown += 500;
			draw();
		};
		matrix.replaceChildren(grid({ rows: rows.slice(0, shown), used }, selected, choose));
		if (rows.length > shown) matrix.append(h("div.wait.noprint", button(`Show ${count(rows.length - shown, "more image")}`, more)));
	}
	/// Tells of a cell, or of none.
	function choose(cell) {
		for (const one of matrix.querySelectorAll("td[aria-selected]")) one.ariaSelected = null;
		details.hidden = !cell;
		layout.classList.toggle("alone", !cell);
		selected = cell && `${cell.dataset.image} ${cell.dataset.target}`;
		if (!cell) return;
		cell.ariaSelected = "true";
		const image = board.images.get(cell.dataset.image),
			target = cell.dataset.target;
		details.replaceChildren(...why(image, target, image.cells.get(target), () => choose(null)));
	}
	const note = rows => rows.forEach(row => notes.set(row.textContent, row));

	/// What waits for approval.
	async function readAsks() {
		const { outcome, found } = await asks();
		if (outcome && !refusedFor(outcome, "NotSetUp")) note(refusals(outcome));
		for (const { request, requester, rules } of found)
			for (const imageId of request.imageIds)
				for (const target of targetsOf(request))
					board.put({
						imageId,
						name: imageName(imageId),
						target,
						kind: "waiting",
						rule: list(rules),
						why: `asked by ${requester}, and nobody has decided yet`
					});
	}
	/// The pages of an audit from this one on.
	async function readShares(token, pages = 0) {
		do {
			const so = `${count(board.images.size, "image")} with shares so far, ${count(pages, "page")} read`;
			progress.replaceChildren(h("progress", { "aria-label": "Reading" }), soft(pages ? so : "Reading images, permissions and keys"));
			const outcome = await call("POST", "requests", { action: "audit", rows: true, nextToken: token });
			if (!isFine(outcome) && !outcome.rows) {
				if (!pages) return void show(problem(outcome));
				const goOn = button("Go on", () => readShares(token, pages));
				return void progress.replaceChildren(...refusals(outcome), h("span", "Not everything was read."), goOn);
			}
			pages += 1;
			note([...refusals(outcome), ...warnings(outcome)]);
			(outcome.rows ?? []).forEach(row => board.put(row));
			token = outcome.nextToken;
			complete = !token;
			draw();
		} while (token);
		const sum = `${count(board.images.size, "image")} and ${count(board.targets.size, "target")}, as of ${at(new Date())}.`;
		progress.replaceChildren(small(sum), ...notes.values());
	}

	draw();
	await catalogue.read();
	await readAsks();
	draw();
	await readShares();
}

// ---- From one view to another.

let leaving = new AbortController();
const VIEWS = { "#/ask": ask, "#/approve": approve, "#/look": look };

function enter() {
	leaving.abort();
	leaving = new AbortController();
	if (!session) return signedOut();
	const hash = location.hash in VIEWS ? location.hash : "#/ask";
	views.hidden = person.hidden = false;
	for (const link of views.children) link.ariaCurrent = link.hash === hash ? "page" : null;
	document.title = `${views.querySelector("[aria-current]").textContent} · AMI Share`;
	main.className = hash === "#/look" ? "wide" : "";
	VIEWS[hash]();
	main.querySelector("h1").focus({ preventScroll: true });
}

/// What no view expected. That a view was left is no failure.
function failed(event) {
	if (event.reason.name === "AbortError") return event.preventDefault();
	show(problem(outcomeOf({ errors: [{ message: `The page failed: ${event.reason.message}` }] })));
}

async function start() {
	const parameters = new URLSearchParams(location.search);
	person.lastChild.addEventListener("click", signOut);
	addEventListener("hashchange", enter);
	addEventListener("unhandledrejection", failed);
	if (!parameters.has("code") && !parameters.has("error")) return signedOut();
	show(state("Signing in", waiting("Back from the issuer")));
	try {
		await comeBack(parameters);
	} catch (error) {
		return signedOut("Signing in failed", error.message);
	}
	const { name, email, preferred_username: user, "cognito:username": cognito, sub } = session.claims;
	who.textContent = name ?? user ?? email ?? cognito ?? sub;
	who.title = session.requester;
	enter();
}

start();
