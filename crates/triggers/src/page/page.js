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
		if (value === undefined || value === null || value === false) continue;
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
const searchField = (id, placeholder, oninput) =>
	h("input", { type: "search", id, placeholder, oninput, autocomplete: "off", spellcheck: "false" });
const button = (text, onclick, kind) => h(kind ? `button.${kind}` : "button", { type: "button", onclick }, text);
const say = text => {
	said.textContent = text;
};
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
	const box = h("pre", { tabindex: 0, role: "region", "aria-label": "Text to copy" }, text);
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
const count = (number, one, many = `${one}s`) => `${number.toLocaleString()} ${number === 1 ? one : many}`;
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

const base64url = bytes =>
	btoa(String.fromCharCode(...new Uint8Array(bytes)))
		.replace(/\+/g, "-")
		.replace(/\//g, "_")
		.replace(/=+$/, "");
const random = () => base64url(crypto.getRandomValues(new Uint8Array(32)));
const claimsOf = token =>
	JSON.parse(
		new TextDecoder().decode(
			Uint8Array.from(atob(token.split(".")[1].replace(/-/g, "+").replace(/_/g, "/")), character => character.charCodeAt(0))
		)
	);

async function issuer() {
	const answer = await fetch(`${ISSUER.replace(/\/$/, "")}/.well-known/openid-configuration`, {
		credentials: "omit",
		referrerPolicy: "no-referrer"
	});
	const found = await answer.json();
	if (found.issuer !== ISSUER) throw new Error(`The issuer calls itself ${found.issuer}, and this page knows it as ${ISSUER}.`);
	const origin = new URL(found.token_endpoint).origin;
	if (origin !== new URL(ISSUER).origin && origin !== TOKEN_ORIGIN)
		throw new Error(`Tokens are given at ${origin}: whoever deployed this page must name it in AMI_SHARE_PAGE_TOKEN_ORIGIN.`);
	return found;
}

async function signIn() {
	show(state("Signing in", waiting(`Asking ${new URL(ISSUER).host}`)));
	try {
		const found = await issuer();
		const pending = { state: random(), nonce: random(), verifier: random(), hash: location.hash, draft };
		sessionStorage.setItem(PENDING, JSON.stringify(pending));
		const challenge = base64url(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(pending.verifier)));
		const address = new URL(found.authorization_endpoint);
		for (const [name, value] of Object.entries({
			response_type: "code",
			client_id: CLIENT,
			redirect_uri: HOME,
			scope: "openid",
			state: pending.state,
			nonce: pending.nonce,
			code_challenge: challenge,
			code_challenge_method: "S256"
		}))
			address.searchParams.set(name, value);
		location.assign(address);
	} catch (error) {
		signedOut("Signing in failed", error.message);
	}
}

/// Back from the issuer: exchanges the code for a token.
async function comeBack(parameters) {
	const pending = JSON.parse(sessionStorage.getItem(PENDING) ?? "null");
	sessionStorage.removeItem(PENDING);
	history.replaceState(null, "", HOME + (pending?.hash ?? ""));
	if (!pending || parameters.get("state") !== pending.state)
		throw new Error("The answer does not belong to a sign-in that began in this tab. Sign in again.");
	draft = pending.draft ?? {};
	if (parameters.has("error")) throw new Error(`The issuer says: ${parameters.get("error_description") ?? parameters.get("error")}`);
	if ((parameters.get("iss") ?? ISSUER) !== ISSUER) throw new Error("The answer comes from another issuer.");
	const found = await issuer();
	const answer = await fetch(found.token_endpoint, {
		method: "POST",
		credentials: "omit",
		referrerPolicy: "no-referrer",
		body: new URLSearchParams({
			grant_type: "authorization_code",
			code: parameters.get("code") ?? "",
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
	if (claims.iss !== ISSUER || (given.id_token && claims.nonce !== pending.nonce))
		throw new Error("The token is not the answer to this sign-in.");
	session = { token, claims, requester: `jwt:${claims.iss}#${claims.sub}` };
	const left = claims.exp * 1000 - Date.now();
	if (left < 2 ** 31) setTimeout(() => end("Your session has ended", "What you have filled in is kept."), Math.max(left, 0));
}

function end(title, text) {
	if (!session) return;
	session = null;
	leaving.abort();
	signedOut(title, text);
}

async function signOut() {
	session = null;
	draft = {};
	catalogue.forget();
	leaving.abort();
	signedOut("You are signed out", `You may still have a session at ${new URL(ISSUER).host}.`);
	const found = await issuer().catch(() => ({}));
	if (!found.end_session_endpoint) return;
	const address = new URL(found.end_session_endpoint);
	address.searchParams.set("client_id", CLIENT);
	address.searchParams.set("post_logout_redirect_uri", HOME);
	address.searchParams.set("logout_uri", HOME); // the name that Amazon Cognito gives it
	location.assign(address);
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

const left = () => new DOMException("left", "AbortError");
const pause = async (time, signal) => {
	await new Promise(resolve => setTimeout(resolve, time));
	signal.throwIfAborted();
};

/// The outcome document, with `http`, the status. Reading is tried again where the API says that it helps.
async function call(method, path, body, signal = leaving.signal) {
	for (let tries = 0; ; tries++) {
		if (!session) throw left();
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
			return { http: 0, errors: [{ message: "The API can't be reached. Your connection, or a proxy, may be in the way." }] };
		}
		const outcome = await answer.json().catch(() => ({}));
		signal.throwIfAborted();
		// API Gateway's own answer has no refusals: it did not accept the token.
		if (answer.status === 401 && !outcome.refusals) {
			end("Your session has ended", "What you have filled in is kept.");
			throw left();
		}
		const isBusy = [429, 503].includes(answer.status) || (answer.status === 409 && outcome.retryable);
		if (isBusy && (method === "GET" || body?.action === "audit") && tries < 3) {
			await pause(1000 * (Number(answer.headers.get("retry-after")) || 2), signal);
			continue;
		}
		return { ...outcome, http: answer.status };
	}
}

const detail = outcome => h("p", outcome.detail ?? outcome.message ?? `The API answered with the status ${outcome.http}.`);
const isFine = outcome => outcome.http >= 200 && outcome.http < 300;
const refusedFor = (outcome, code) => outcome.refusals?.some(refusal => refusal.code === code);

function refusals(outcome) {
	const rows = (outcome.refusals ?? []).map(refusal =>
		verdict(
			"not",
			strong(titled(refusal.code)),
			h("span", refusal.message),
			refusal.statements?.length
				? [h("span.label", "To let it in, add to the key's policy"), copyable(JSON.stringify(refusal.statements, null, 2))]
				: refusal.remedy && [
						h("span.label", "What helps"),
						/[{\n]|^aws /.test(refusal.remedy) ? copyable(refusal.remedy) : h("span", refusal.remedy)
					]
		)
	);
	const errors = (outcome.errors ?? []).map(error => verdict("unknown", h("span", error.message), error.call && small(error.call)));
	return [...rows, ...errors];
}

const warnings = outcome => (outcome.warnings ?? []).map(warning => verdict("unknown", h("span", warning)));

/// What is shown where a view has nothing to show, because it was refused or something failed.
function problem(outcome, again) {
	if (refusedFor(outcome, "RequesterNotAllowed"))
		return state(
			"Nobody has let you in yet",
			h("p", "No rule of the allowlist names you. Give this to whoever keeps it:"),
			copyable(session?.requester ?? ""),
			button("Try again", again)
		);
	const rows = refusals(outcome);
	return state(
		outcome.result === "refused" ? "This was refused" : "This didn't work",
		rows.length ? stack(rows) : detail(outcome),
		outcome.requestId && h("p.soft.small", "Request ", code(outcome.requestId)),
		button("Try again", again)
	);
}

/// What this person may have: read once, in pages.
const catalogue = {
	images: [],
	complete: false,
	forget() {
		this.images = [];
		this.complete = false;
		this.token = undefined;
		names.clear();
	},
	async read(shown) {
		while (!this.complete) {
			const outcome = await call("GET", `images${this.token ? `?nextToken=${encodeURIComponent(this.token)}` : ""}`);
			if (!isFine(outcome)) return outcome;
			this.images.push(...(outcome.images ?? []));
			for (const may of (outcome.images ?? []).flatMap(image => image.may ?? []))
				for (const target of may.targets ?? []) if (target.name) names.set(idOf(target.id), target.name);
			this.token = outcome.nextToken;
			this.complete = !this.token;
			shown?.();
		}
		return undefined;
	}
};

// ---- Ask.

const shares = image => (image.may ?? []).filter(may => may.actions?.includes("share"));

/// Whether a text has all the words; a wildcard only separates them.
function matcher(text) {
	const words = text
		.toLowerCase()
		.split(/[\s*]+/)
		.filter(Boolean);
	return hay => words.every(word => hay.toLowerCase().includes(word));
}
const hay = image => [image.name, image.imageId, image.architecture, ...Object.entries(image.tags ?? {}).flat()].join(" ");

async function ask() {
	document.title = "Ask · AMI Share";
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
		total.textContent =
			found.length === catalogue.images.length
				? count(found.length, "image")
				: `${found.length.toLocaleString()} of ${count(catalogue.images.length, "image")}`;
		rows.replaceChildren(h("legend.unseen", "Images"), ...found.slice(0, 200).map(option));
		if (found.length > 200) rows.append(h("p.wait", `${count(found.length - 200, "more image")}: narrow the search.`));
		if (!found.length && catalogue.complete)
			rows.append(h("p.wait", catalogue.images.length ? "No image fits this search." : "Your rules cover no image of this Region."));
		if (!catalogue.complete) rows.append(waiting(`Reading images: ${catalogue.images.length.toLocaleString()} so far`));
	}
	function option(image) {
		const tags = Object.entries(image.tags ?? {}).map(([name, value]) => `${name}: ${value}`);
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
				[image.imageId, image.architecture, image.state === "available" ? null : image.state, ...tags].filter(Boolean).join(" · ")
			)
		);
	}
	function choose(image) {
		if (draft.imageId !== image.imageId) draft = { imageId: image.imageId, target: draft.target, reason: draft.reason };
		order(panel, image);
	}
	const layout = h("div.ask", images, panel);
	panel.append(
		stack(
			h2("Choose an image"),
			h("p.soft", "Then choose for whom. You see at once whether it could be launched there, and what is missing if not.")
		)
	);
	show(heading("Ask for an image"), layout);
	fill();
	const outcome = await catalogue.read(fill);
	if (outcome) return void show(heading("Ask for an image"), problem(outcome, enter));
	fill();
	const chosen = catalogue.images.find(image => image.imageId === draft.imageId);
	if (chosen) choose(chosen);
}

/// The form for one image, with a check that follows it.
function order(panel, image) {
	const can = shares(image);
	const targets = [...new Map(can.flatMap(may => may.targets ?? []).map(target => [idOf(target.id), target])).values()].sort((one, other) =>
		nameOf(one.id).localeCompare(nameOf(other.id))
	);
	const about = [
		stack(
			h2(image.name ?? image.imageId),
			facts([
				["ID", code(image.imageId)],
				["Created", image.created && at(image.created)],
				["Architecture", image.architecture],
				["Encrypted", image.encrypted === undefined ? null : image.encrypted ? "yes: a key must let the target in" : "no"],
				["State", image.state],
				[
					"Tags",
					Object.keys(image.tags ?? {}).length > 0 &&
						h(
							"span.row",
							Object.entries(image.tags).map(([name, value]) => h("span.tag", `${name}: ${value}`))
						)
				],
				["Watermarks", image.watermarks?.length ? list(image.watermarks) : null]
			])
		)
	];
	if (!targets.length)
		return void panel.replaceChildren(...about, verdict("none", h("span", "You may look at this image, but no rule lets you share it.")));

	const target = h(
		"select",
		{
			id: "target",
			onchange: () => {
				terms();
				check();
			}
		},
		h("option", { value: "" }, "Choose an account or unit"),
		targets.map(one => h("option", { value: one.id, selected: idOf(one.id) === idOf(draft.target ?? "") }, fullName(one.id)))
	);
	const access = h("div.row", { role: "radiogroup", "aria-labelledby": "access-label" });
	const expiry = h("select", {
		id: "expiry",
		onchange: () => {
			onDate();
			check();
		}
	});
	const day = h("input", { type: "datetime-local", id: "day", "aria-label": "Until, date and time", hidden: true, onchange: check });
	const reason = h("textarea", {
		id: "reason",
		maxlength: 500,
		rows: 2,
		oninput: () => {
			draft.reason = reason.value;
		}
	});
	reason.value = draft.reason ?? "";
	const more = h(
		"div.terms",
		{ hidden: true },
		h("div.field", h("span.label", { id: "access-label" }, "Access"), access),
		field(expiry, "Until", day),
		h("div.field.all", h("label", { for: "reason" }, "Reason ", small("kept in the log")), reason)
	);
	const findings = h("div.stack", { "aria-live": "polite" });
	const send = button("Send", submit, "main");
	const actions = h("div.row", { hidden: true }, send, button("Check again", check, "plain"));
	panel.replaceChildren(...about, field(target, "For whom"), more, findings, actions);
	let asking = new AbortController(),
		accepted = false;

	const rules = () => can.filter(may => may.targets?.some(one => idOf(one.id) === idOf(target.value)));

	/// What the rules for this target leave to choose.
	function terms() {
		more.hidden = actions.hidden = !target.value;
		draft.target = target.value;
		if (!target.value) return void findings.replaceChildren();
		const copies = rules().some(may => may.access === "copy");
		const radio = (value, text) =>
			h(
				"label.free",
				h("input", {
					type: "radio",
					name: "access",
					value,
					checked: (copies && draft.access === "copy") === (value === "copy"),
					onchange: () => {
						draft.access = value;
						check();
					}
				}),
				text
			);
		access.replaceChildren(radio("launch", "launch"), copies ? radio("copy", "launch and copy") : small("no rule allows copying"));
		const longest = Math.max(...rules().map(may => lasting(may.maxDuration)));
		const lengths = [60 * MINUTE, 480 * MINUTE, DAY, 7 * DAY, 30 * DAY, 90 * DAY, 365 * DAY].filter(time => time < longest);
		if (longest < Infinity) lengths.push(longest);
		const wanted = draft.expiry ?? (longest < Infinity ? String(longest) : "");
		const choice = (value, text) => h("option", { value, selected: value === wanted }, text);
		expiry.replaceChildren(
			...(longest < Infinity ? [] : [choice("", "it is taken back")]),
			...lengths.map(time => choice(String(time), `${spoken(time)} from now${time === longest ? ", the longest" : ""}`)),
			choice("date", "a date …")
		);
		onDate();
	}
	function onDate() {
		draft.expiry = expiry.value;
		day.hidden = expiry.value !== "date";
		if (!day.hidden && !day.value) {
			const week = new Date(Date.now() + 7 * DAY);
			week.setMinutes(week.getMinutes() - week.getTimezoneOffset());
			day.value = week.toISOString().slice(0, 16);
		}
	}
	function expiresAt() {
		if (!expiry.value) return undefined;
		const longest = Math.max(...rules().map(may => lasting(may.maxDuration)));
		// Somewhat less than the longest: this clock may be ahead of AWS's.
		const time =
			expiry.value === "date"
				? new Date(day.value)
				: new Date(Date.now() + Number(expiry.value) - (Number(expiry.value) >= longest ? 5 * MINUTE : 0));
		return isNaN(time) ? undefined : time.toISOString().replace(/\.\d+Z$/, "Z");
	}
	const chosenAccess = () => access.querySelector(":checked")?.value ?? "launch";

	function ready(isReady) {
		accepted = isReady;
		send.setAttribute("aria-disabled", String(!isReady));
	}

	async function check() {
		asking.abort();
		asking = new AbortController();
		const signal = AbortSignal.any([asking.signal, leaving.signal]);
		ready(false);
		if (!target.value) return;
		findings.replaceChildren(waiting("Reading what EC2 and the keys say"));
		try {
			await pause(150, signal);
			const query = new URLSearchParams({ access: chosenAccess() });
			if (expiresAt()) query.set("expiresAt", expiresAt());
			const outcome = await call(
				"GET",
				`images/${image.imageId}/shares/${encodeURIComponent(idOf(target.value))}?${query}`,
				undefined,
				signal
			);
			findings.replaceChildren(
				...told(
					outcome,
					target.value,
					rules().some(may => may.approval)
				)
			);
			const row = rowOf(outcome, target.value);
			ready(isFine(outcome) && row?.accepted !== false && !outcome.refusals?.length);
			send.textContent = rules().some(may => may.approval) ? "Send for approval" : row?.state === "shared" ? "Share again" : "Share";
		} catch (error) {
			quiet(error);
		}
	}

	async function submit() {
		if (!accepted)
			return void (
				findings.querySelector(".verdict")?.scrollIntoView({ block: "nearest" }),
				say("It can't be sent: see what stands in the way above the button.")
			);
		ready(false);
		actions.hidden = true;
		findings.replaceChildren(waiting("Sending"));
		const kind = /^\d{12}$/.test(target.value)
			? "accountIds"
			: /^ou-/.test(idOf(target.value))
				? "organizationalUnitArns"
				: "organizationArns";
		const wish = { [kind]: [target.value], access: chosenAccess(), expiresAt: expiresAt(), reason: reason.value.trim() || undefined };
		try {
			const outcome = await call("POST", `images/${image.imageId}/shares`, wish);
			findings.replaceChildren(
				...became(outcome, target.value, () => {
					actions.hidden = false;
					check();
				})
			);
			if (outcome.http === 202) follow(target.value);
		} catch (error) {
			quiet(error);
		}
	}

	/// Looks again until what waits is shared.
	async function follow(wanted) {
		try {
			for (let time = 10_000; target.isConnected && target.value === wanted; time = Math.min(time * 1.5, MINUTE)) {
				await pause(time, leaving.signal);
				if (document.hidden || !actions.hidden) continue;
				const outcome = await call("GET", `images/${image.imageId}/shares/${encodeURIComponent(idOf(wanted))}`);
				if (rowOf(outcome, wanted)?.state !== "shared") continue;
				findings.replaceChildren(...told(outcome, wanted));
				return void say("It is shared now");
			}
		} catch (error) {
			quiet(error);
		}
	}

	terms();
	check();
}

const rowOf = (outcome, target) => outcome.images?.[0]?.targets?.find(row => idOf(row.target) === idOf(target));

/// What a target that has the image can do with it.
function standing(row, who) {
	const kind = KINDS[row.launch] ? row.launch : "unknown";
	const words = {
		really: "and can launch it",
		not: "but can't launch it now: a key does not let it in",
		unknown: "and whether it can launch it depends on what follows"
	};
	return verdict(kind, strong(`${who} has this image, ${words[kind]}.`), row.expiresAt && soft(`Until ${until(row.expiresAt)}.`));
}

/// What a check says.
function told(outcome, target, needsApproval) {
	if (!isFine(outcome)) return refusals(outcome);
	const row = rowOf(outcome, target),
		who = nameOf(target);
	const mine = outcome.images?.[0]?.keys?.filter(key => idOf(key.target) === idOf(target)) ?? [];
	const first =
		row?.state === "shared"
			? standing(row, who)
			: row?.state === "waiting"
				? verdict("waiting", strong(`This is on its way to ${who}.`), row.detail && h("span", row.detail))
				: !row || row.accepted === false || outcome.refusals?.length
					? verdict("not", strong(`${who} doesn't have this image, and it can't be shared like this.`))
					: needsApproval
						? verdict("waiting", strong(`${who} can have this image once somebody approves it.`))
						: mine.every(key => key.verdict === "allowed" || key.grant === "planned")
							? verdict("really", strong(`${who} can have this image, and will be able to launch it.`))
							: verdict("unknown", strong(`${who} can have this image. Whether it can launch it depends on what follows.`));
	return [first, ...refusals(outcome), ...keys(outcome, target), ...warnings(outcome)];
}

const KEY = {
	allowed: ["really", "lets it in"],
	missing: ["not", "does not let it in"],
	denied: ["not", "denies it"],
	conditional: ["unknown", "lets it in under conditions"]
};

/// What each key says of the target, with the remedy, except of keys that a refusal has told.
function keys(outcome, target) {
	const told = new Set((outcome.refusals ?? []).map(refusal => refusal.keyArn));
	return (outcome.images ?? [])
		.flatMap(image => image.keys ?? [])
		.filter(key => idOf(key.target) === idOf(target) && !told.has(key.keyArn))
		.map(key => {
			const isPlanned = key.grant === "planned";
			const [kind, words] = isPlanned
				? ["waiting", "lets it in by a grant, which sharing makes"]
				: (KEY[key.verdict] ?? ["unknown", "can't be judged"]);
			const by = (key.because ?? []).map(one => one.sid ?? one.grantName ?? one.grantId ?? `statement ${one.index}`);
			const some = items => (items?.length ? list(items) : null);
			return h(
				"div.key.stack",
				h("div.head", shape(kind), h("div", strong(`A key ${words}`), " ", h("code.soft", key.keyArn))),
				facts([
					["Because of", some(by)],
					["Missing", isPlanned ? null : some(key.missing)],
					["Depends on", some(key.dependsOn)],
					["Limit", key.limits?.includes("default-key-only") ? "only for volumes under the target's own key" : null],
					["Likely to fail", some(key.likelyToFail)]
				]),
				key.remedy?.length > 0 &&
					!isPlanned && [h("span.label", "To let it in, add to the key's policy"), copyable(JSON.stringify(key.remedy, null, 2))]
			);
		});
}

/// What became of a share.
function became(outcome, target, again) {
	const who = nameOf(target),
		row = rowOf(outcome, target);
	const foot = inline(
		button("Ask for another", () => {
			draft = { reason: draft.reason };
			enter();
		}),
		small("Request ", code(outcome.requestId ?? ""))
	);
	if (outcome.http === 202 || outcome.result === "accepted")
		return [
			verdict(
				"waiting",
				strong(outcome.approval ? "It waits for somebody to approve it." : "It was accepted, and continues by itself."),
				outcome.approval &&
					h("span", `Until ${until(outcome.approval.until)}, by ${list((outcome.approval.rules ?? []).map(rule => `the rule ${rule}`))}.`),
				soft("This page looks again by itself.")
			),
			...warnings(outcome),
			foot
		];
	if (isFine(outcome) && ["shared", "already-shared"].includes(row?.state))
		return [standing(row, who), ...(row.launch === "really" ? [] : keys(outcome, target)), ...warnings(outcome), foot];
	const rows = refusals(outcome);
	return [
		verdict(
			"not",
			strong(outcome.result === "incomplete" ? "Some of it was done. The same request again finishes it." : "It was not shared.")
		),
		...rows,
		rows.length ? null : detail(outcome),
		...warnings(outcome),
		inline(button("Back", again), foot)
	].filter(Boolean);
}

// ---- Approve.

async function asks() {
	const found = [];
	for (let token; ;) {
		const outcome = await call("GET", `approvals${token ? `?nextToken=${encodeURIComponent(token)}` : ""}`);
		if (!isFine(outcome)) return { outcome, found };
		found.push(...(outcome.approvals ?? []));
		if (!(token = outcome.nextToken)) return { found };
	}
}

const targetsOf = request => ["accountIds", "organizationArns", "organizationalUnitArns"].flatMap(field => request?.[field] ?? []);
const imageName = id => catalogue.images.find(image => image.imageId === id)?.name;

async function approve() {
	document.title = "Approve · AMI Share";
	show(heading("Approve"), waiting("Reading what waits"));
	await catalogue.read();
	const { outcome, found } = await asks();
	if (outcome) return void show(heading("Approve"), problem(outcome, enter));
	const mine = found.filter(one => one.requester === session.requester),
		others = found.filter(one => one.requester !== session.requester);
	const section = (title, rows, none) => h("section.stack", h2(title), rows.length ? rows.map(card) : h("p.soft", none));
	show(
		h("div.row.between", heading("Approve"), button("Look again", enter)),
		section(`To decide (${others.length})`, others, "Nothing waits for you."),
		section(`What you asked for (${mine.length})`, mine, "You wait for nothing.")
	);
}

function card(one) {
	const request = one.request ?? {},
		mine = one.requester === session.requester,
		path = `approvals/${encodeURIComponent(one.id)}`;
	const title = h(
		"h3",
		{ tabindex: -1 },
		list((request.imageIds ?? []).map(id => imageName(id) ?? id)),
		" for ",
		list(targetsOf(request).map(nameOf))
	);
	const body = h("div.stack");
	const review = button(mine ? "Withdraw" : "Review", mine ? () => decide(false, "") : look, mine ? "" : "main");
	const article = h(
		"article.sheet.stack",
		title,
		facts([
			["Asked by", h("span.mono", one.requester)],
			["Reason", one.reason ?? request.reason ?? soft("none given")],
			["Images", list(request.imageIds ?? [])],
			["For", list(targetsOf(request).map(fullName))],
			["Access", request.access === "copy" ? "launch and copy" : "launch"],
			["Expires", request.expiresAt ? until(request.expiresAt) : "not by itself"],
			["Rules", list(one.rules ?? [])],
			["Lapses", one.until && until(one.until)]
		]),
		body,
		inline(review)
	);

	async function look() {
		review.setAttribute("aria-disabled", "true");
		body.replaceChildren(waiting("Finding out what it would do"));
		try {
			const outcome = await call("POST", `${path}?dryRun=true`, {});
			const reason = h("textarea", { id: `reason-${one.id}`, maxlength: 500, rows: 2 });
			const steps = (outcome.images ?? []).flatMap(image => image.steps ?? []);
			body.replaceChildren(
				isFine(outcome)
					? verdict(
							"really",
							strong(steps.length ? `It would take ${count(steps.length, "step")}:` : "Nothing would have to be changed."),
							steps.length > 0 &&
								h(
									"ul",
									steps.map(step =>
										h("li", code(step.call), ` on ${step.resource}`, step.add?.length > 0 && `, for ${list(step.add.map(nameOf))}`)
									)
								)
						)
					: verdict("not", strong("It could not be carried out now.")),
				...refusals(outcome),
				...targetsOf(request).flatMap(target => keys(outcome, target)),
				...warnings(outcome),
				field(reason, "Your reason"),
				inline(
					isFine(outcome) && button("Approve", () => decide(true, reason.value), "main"),
					button("Reject", () => decide(false, reason.value)),
					button(
						"Close",
						() => {
							body.replaceChildren();
							review.removeAttribute("aria-disabled");
							review.hidden = false;
							review.focus();
						},
						"plain"
					)
				)
			);
			review.hidden = true;
			title.focus();
		} catch (error) {
			quiet(error);
		}
	}
	async function decide(yes, reason) {
		body.replaceChildren(waiting(yes ? "Approving" : mine ? "Withdrawing" : "Rejecting"));
		review.hidden = true;
		try {
			const why = reason.trim();
			const outcome = yes
				? await call("POST", path, why ? { reason: why } : {})
				: await call("DELETE", path + (why ? `?reason=${encodeURIComponent(why)}` : ""));
			const done = yes
				? outcome.http === 202
					? "Approved. It continues by itself."
					: "Approved, and shared."
				: mine
					? "Withdrawn."
					: "Rejected.";
			body.replaceChildren(
				...(isFine(outcome) ? [verdict(yes ? "really" : "none", strong(done))] : refusals(outcome)),
				...warnings(outcome)
			);
			if (!isFine(outcome) && !body.childElementCount) body.append(detail(outcome));
			say(isFine(outcome) ? done : "It did not work");
			title.focus();
		} catch (error) {
			quiet(error);
		}
	}
	return article;
}

// ---- Look.

const KINDS = {
	really: "can launch",
	soon: "can launch, expires within 7 days",
	not: "shared, but a key says no",
	unknown: "depends, or not known",
	waiting: "waiting",
	none: "not shared"
};

const BY_HAND = "shared by hand";

const kindOf = row =>
	row.launch !== "really"
		? KINDS[row.launch]
			? row.launch
			: "unknown"
		: row.until && new Date(row.until) - Date.now() < SOON
			? "soon"
			: "really";

async function look() {
	document.title = "Look · AMI Share";
	main.className = "wide";
	const images = new Map(); // image ID → {name, cells: target → row}
	const columns = new Map(); // target → how often
	const notes = new Map(); // what the audit says beside the rows, once
	let pages = 0,
		kept = new Set(Object.keys(KINDS).filter(kind => kind !== "none")),
		selected = null,
		complete = false,
		shown = 150;
	const put = row => {
		if (!images.has(row.imageId)) images.set(row.imageId, { id: row.imageId, name: row.name, cells: new Map() });
		const image = images.get(row.imageId),
			target = idOf(row.target ?? row.how ?? "");
		image.name ??= row.name;
		const before = image.cells.get(target);
		if (!before || before.kind === "waiting") image.cells.set(target, { ...row, kind: row.kind ?? kindOf(row) });
		columns.set(target, (columns.get(target) ?? 0) + 1);
	};
	const mark = () => h("span.hand.mark", `${BY_HAND}, by no rule`);
	const progress = h("div.row.noprint", { role: "status" });
	const search = searchField("filter", "image, target or rule", () => draw());
	const order = h(
		"select",
		{ id: "order", onchange: draw },
		h("option", { value: "name" }, "by name"),
		h("option", { value: "trouble" }, "most trouble first"),
		h("option", { value: "until" }, "first to expire")
	);
	const boxes = h(
		"fieldset",
		h("legend", "Show"),
		h(
			"div.legend",
			Object.keys(KINDS)
				.filter(kind => kind !== "none")
				.map(kind =>
					h(
						"label.free",
						h("input", {
							type: "checkbox",
							value: kind,
							checked: true,
							onchange: event => {
								event.target.checked ? kept.add(kind) : kept.delete(kind);
								draw();
							}
						}),
						shape(kind),
						KINDS[kind]
					)
				),
			mark()
		)
	);
	const matrix = h("div.matrix");
	const details = h("aside.sheet.stack.noprint", { "aria-label": "Why", "aria-live": "polite", hidden: true });
	const layout = h("div.look.alone", matrix, details);
	const legend = h(
		"p.legend.paper.small",
		Object.keys(KINDS).map(kind => h("span", shape(kind), ` ${KINDS[kind]}`)),
		mark(),
		h("span", `As of ${at(new Date())}`)
	);
	const tools = h(
		"div.row.noprint",
		button("Export as CSV", csv),
		button("Print", () => print()),
		button("Read again", enter, "plain")
	);
	show(
		h("div.row.between", heading("Who can really launch what"), tools),
		legend,
		h("div.filters", field(search, "Filter"), field(order, "Sort"), boxes),
		progress,
		layout
	);

	/// The rows and columns that the filters leave.
	function view() {
		const fits = matcher(search.value);
		const isShown = (image, target, row) =>
			kept.has(row.kind) && fits(`${image.name} ${image.id} ${nameOf(target)} ${target} ${row.rule ?? BY_HAND}`);
		const rows = [...images.values()]
			.map(image => ({ image, cells: new Map([...image.cells].filter(([target, row]) => isShown(image, target, row))) }))
			.filter(row => row.cells.size);
		const trouble = row =>
			[...row.cells.values()].filter(cell => cell.kind === "not" || cell.kind === "unknown" || cell.rule === null).length;
		const first = row => Math.min(...[...row.cells.values()].map(cell => (cell.until ? +new Date(cell.until) : Infinity)));
		const byName = (one, other) =>
			String(one.image.name ?? one.image.id).localeCompare(String(other.image.name ?? other.image.id)) ||
			one.image.id.localeCompare(other.image.id);
		const by = {
			name: byName,
			trouble: (one, other) => trouble(other) - trouble(one) || byName(one, other),
			until: (one, other) => (first(one) === first(other) ? byName(one, other) : first(one) - first(other))
		}[order.value];
		const used = [...columns.keys()]
			.filter(target => rows.some(row => row.cells.has(target)))
			.sort((one, other) => names.has(other) - names.has(one) || nameOf(one).localeCompare(nameOf(other)));
		return { rows: rows.sort(by), used };
	}
	const labelOf = (image, target, row) =>
		`${image.name ?? image.id}, ${nameOf(target)}: ${KINDS[row?.kind ?? "none"]}${row?.rule === null ? `, ${BY_HAND}` : ""}`;

	function draw() {
		const { rows, used } = view();
		if (!rows.length)
			return void matrix.replaceChildren(
				complete || images.size
					? h(
							"div.state",
							h2(images.size ? "Nothing fits these filters" : "Nothing is shared yet"),
							h(
								"p.soft",
								images.size ? "Clear the filter, or show more kinds." : "None of the images that your rules cover is shared with anybody."
							)
						)
					: waiting("Reading images, permissions and keys")
			);
		const cell = (image, target) => {
			const row = image.cells.get(target);
			return h(
				row?.rule === null && row.kind !== "waiting" ? "td.hand" : "td",
				{
					role: "gridcell",
					tabindex: -1,
					"aria-label": labelOf(image, target, row),
					title: row?.why ?? null,
					"aria-selected": selected === `${image.id} ${target}` ? "true" : null,
					"data-image": image.id,
					"data-target": target
				},
				shape(row?.kind ?? "none")
			);
		};
		const more =
			rows.length > shown &&
			h(
				"div.wait.noprint",
				button(`Show ${count(rows.length - shown, "more image")}`, () => {
					shown += 500;
					draw();
				})
			);
		matrix.replaceChildren(
			h(
				"table",
				{
					role: "grid",
					"aria-label": "Images and who can launch them",
					onkeydown: move,
					onclick: event => choose(event.target.closest("td"))
				},
				h(
					"thead",
					h(
						"tr",
						{ role: "row" },
						h("th", { scope: "col", role: "columnheader" }, count(rows.length, "image")),
						used.map(target =>
							h("th", { scope: "col", role: "columnheader" }, strong(nameOf(target)), names.has(target) && h("div.soft.mono", target))
						)
					)
				),
				h(
					"tbody",
					rows.slice(0, shown).map(({ image }) =>
						h(
							"tr",
							{ role: "row" },
							h("th", { scope: "row", role: "rowheader" }, h("div", image.name ?? image.id), image.name && h("div.soft.mono", image.id)),
							used.map(target => cell(image, target))
						)
					)
				)
			),
			more || ""
		);
		(matrix.querySelector("td[aria-selected]") ?? matrix.querySelector("td"))?.setAttribute("tabindex", 0);
	}

	function move(event) {
		const cell = event.target.closest("td");
		if (!cell) return;
		const row = cell.parentElement,
			line = [...row.querySelectorAll("td")],
			column = line.indexOf(cell);
		const beside = other => other?.querySelectorAll("td")[column];
		const body = row.parentElement.rows;
		const next = {
			ArrowRight: () => line[column + 1],
			ArrowLeft: () => line[column - 1],
			ArrowDown: () => beside(row.nextElementSibling),
			ArrowUp: () => beside(row.previousElementSibling),
			Home: () => line[0],
			End: () => line.at(-1),
			PageDown: () => beside(body[Math.min(row.sectionRowIndex + 10, body.length - 1)]),
			PageUp: () => beside(body[Math.max(row.sectionRowIndex - 10, 0)])
		}[event.key];
		if (event.key === "Enter" || event.key === " ") choose(cell);
		else if (event.key === "Escape") choose(null);
		else if (next) {
			const to = next();
			if (to) {
				cell.tabIndex = -1;
				to.tabIndex = 0;
				to.focus();
			}
		} else return;
		event.preventDefault();
	}

	/// Tells why.
	function choose(cell) {
		matrix.querySelectorAll("td[aria-selected]").forEach(one => one.removeAttribute("aria-selected"));
		details.hidden = !cell;
		layout.classList.toggle("alone", !cell);
		selected = cell ? `${cell.dataset.image} ${cell.dataset.target}` : null;
		if (!cell) return;
		cell.setAttribute("aria-selected", "true");
		const image = images.get(cell.dataset.image),
			target = cell.dataset.target,
			row = image.cells.get(target),
			kind = row?.kind ?? "none";
		const askFor = catalogue.images.some(
			one => one.imageId === image.id && shares(one).some(may => may.targets?.some(other => idOf(other.id) === target))
		);
		details.replaceChildren(
			h(
				"div.row.between",
				h2(nameOf(target)),
				button("Close", () => choose(null), "plain")
			),
			h("p.soft", image.name ?? image.id),
			verdict(
				kind,
				strong(kind === "none" ? "Not shared." : `${KINDS[kind].replace(/^./, letter => letter.toUpperCase())}.`),
				row?.why && h("span", row.why)
			),
			facts([
				["How", row?.how],
				["Copy", row && ({ true: "yes", false: "no" }[row.copy] ?? row.copy)],
				["Until", row && (row.until ? until(row.until) : kind === "waiting" ? null : "not by itself")],
				["Rule", row && (row.rule ?? (kind === "waiting" ? null : h("span.not", `none: ${BY_HAND}`)))],
				["Image", code(image.id)],
				["Target", code(target)]
			]),
			askFor &&
				h(
					"div.noprint",
					button(row ? "Check it now" : "Ask for it", () => {
						draft = { imageId: image.id, target };
						location.hash = "#/ask";
					})
				)
		);
	}

	function csv() {
		const { rows, used } = view();
		// A spreadsheet takes a text that begins so for a formula.
		const text = value => {
			const plain = String(value ?? ""),
				safe = /^[=+\-@\t\r]/.test(plain) ? `'${plain}` : plain;
			return /[",\n\r]/.test(safe) ? `"${safe.replace(/"/g, '""')}"` : safe;
		};
		const lines = [["image", "name", "target", "targetName", "launch", "how", "copy", "until", "rule", "why"]];
		for (const { image, cells } of rows)
			for (const target of used)
				if (cells.has(target)) {
					const row = cells.get(target);
					lines.push([
						image.id,
						image.name,
						target,
						names.get(target),
						row.launch ?? row.kind,
						row.how,
						row.copy,
						row.until,
						row.rule,
						row.why
					]);
				}
		const address = URL.createObjectURL(
			new Blob([lines.map(line => line.map(text).join(",")).join("\r\n") + "\r\n"], { type: "text/csv" })
		);
		h("a", { href: address, download: `ami-share-${new Date().toISOString().slice(0, 10)}.csv` }).click();
		setTimeout(() => URL.revokeObjectURL(address), MINUTE);
		say(`${count(lines.length - 1, "row")} exported`);
	}

	draw();
	await catalogue.read();
	const waits = await asks();
	for (const one of waits.found)
		for (const imageId of one.request?.imageIds ?? [])
			for (const target of targetsOf(one.request))
				put({
					imageId,
					name: imageName(imageId),
					target,
					kind: "waiting",
					rule: one.rules?.join(", "),
					why: `asked by ${one.requester}, and nobody has decided yet`,
					until: null
				});
	async function read(token) {
		do {
			progress.replaceChildren(
				h("progress", { "aria-label": "Reading" }),
				soft(
					pages ? `${count(images.size, "image")} with shares so far, ${count(pages, "page")} read` : "Reading images, permissions and keys"
				)
			);
			const outcome = await call("POST", "requests", { action: "audit", rows: true, nextToken: token });
			if (!isFine(outcome) && !outcome.rows) {
				const here = token;
				if (!images.size) return void show(problem(outcome, enter));
				return void progress.replaceChildren(
					...refusals(outcome),
					h("span", "Not everything was read."),
					button("Go on", () => read(here).catch(quiet))
				);
			}
			pages += 1;
			for (const note of [...refusals(outcome), ...warnings(outcome)]) notes.set(note.textContent, note);
			(outcome.rows ?? []).forEach(put);
			token = outcome.nextToken;
			complete = !token;
			draw();
		} while (token);
		progress.replaceChildren(small(`${count(images.size, "image")} and ${count(columns.size, "target")}, as of ${at(new Date())}.`), ...notes.values());
	}
	await read();
}

// ---- From one view to another.

let leaving = new AbortController();
const quiet = error => {
	if (error.name !== "AbortError") {
		console.error(error);
		show(problem({ errors: [{ message: `The page failed: ${error.message}` }] }, enter));
	}
};

async function enter() {
	leaving.abort();
	leaving = new AbortController();
	if (!session) return signedOut();
	const view = { "#/approve": approve, "#/look": look }[location.hash] ?? ask;
	views.hidden = person.hidden = false;
	for (const link of views.children)
		link.getAttribute("href") === `#/${view.name === "asks" ? "ask" : view.name}`
			? link.setAttribute("aria-current", "page")
			: link.removeAttribute("aria-current");
	main.className = "";
	const entered = view();
	main.querySelector("h1")?.focus({ preventScroll: true });
	try {
		await entered;
	} catch (error) {
		quiet(error);
	}
}

async function start() {
	const parameters = new URLSearchParams(location.search);
	person.lastChild.addEventListener("click", signOut);
	addEventListener("hashchange", enter);
	if (!parameters.has("code") && !parameters.has("error")) return signedOut();
	show(state("Signing in", waiting("Back from the issuer")));
	try {
		await comeBack(parameters);
		const { name, email, preferred_username: user, sub } = session.claims;
		who.textContent = name ?? user ?? email ?? session.claims["cognito:username"] ?? sub;
		who.title = session.requester;
		await enter();
	} catch (error) {
		signedOut("Signing in failed", error.message);
	}
}

start();
