import { mkdir, readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { join } from "node:path";
import { type Browser, type BrowserContextOptions, chromium, type Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { virtualServerKey } from "../../src/model/kernel/ipvs.ts";
import { address } from "../support/objects/desired.ts";
import { busyNode } from "../support/page/busy-node.ts";
import { PageWorld } from "../support/page/page-world.ts";
import { isMissing } from "../support/run/missing.ts";
import { eventually } from "../support/time/eventually.ts";
import { patient } from "../support/time/patience.ts";
import type { RunningAgent } from "../support/worlds/running-agent.ts";

const SERVICES = 10_000;
/** Some of the screenshots are the pictures of the documents. */
const FOLDER = ".cache/status-page";
const AXE = createRequire(import.meta.url).resolve("axe-core/axe.min.js");

const WIDTHS = { desktop: { width: 1280, height: 900 }, phone: { width: 390, height: 844 } } as const;
const SCHEMES = ["light", "dark"] as const;
const LOOKS = SCHEMES.flatMap((colorScheme) =>
  (["desktop", "phone"] as const).map((width) => ({ colorScheme, width, viewport: WIDTHS[width] })),
);

describe.skipIf(isMissing("chromium"))("the status page in Chromium", () => {
  let agent: RunningAgent;
  let world: PageWorld;
  let browser: Browser;
  let ticking: NodeJS.Timeout;

  beforeAll(async () => {
    await mkdir(FOLDER, { recursive: true });
    agent = await busyNode(SERVICES);
    world = await PageWorld.of(agent);
    browser = await chromium.launch({ executablePath: "/usr/bin/chromium", args: ["--no-sandbox"] });
    // The agent's clock goes as fast as that of the browser.
    ticking = setInterval(() => void agent.clock.advance(250), 250);
  }, patient(120_000));

  afterAll(async () => {
    clearInterval(ticking);
    await browser?.close();
    await world?.[Symbol.asyncDispose]();
    await agent?.[Symbol.asyncDispose]();
  });

  /** A page that must have no error and nothing that its policy forbids. */
  async function opened(options: BrowserContextOptions, fragment = ""): Promise<Page & AsyncDisposable> {
    const context = await browser.newContext(options);
    const page = await context.newPage();
    page.setDefaultTimeout(patient(15_000));
    const faults: string[] = [];
    page.on("pageerror", (error) => faults.push(error.message));
    page.on("console", (message) => {
      if (message.type() === "error" || message.type() === "warning") faults.push(message.text());
    });
    page.on("request", (request) => {
      if (!request.url().startsWith(world.url)) faults.push(request.url());
    });
    await page.goto(`${world.url}${fragment}`);
    return Object.assign(page, {
      [Symbol.asyncDispose]: async () => {
        await context.close();
        expect(faults).toEqual([]);
      },
    });
  }

  /** What axe finds wrong, with the elements. The policy of the page admits no script of a test, so the debugger runs it. */
  async function violations(page: Page): Promise<readonly string[]> {
    await page.evaluate(await readFile(AXE, "utf8"));
    return await page.evaluate(`axe.run(document, { resultTypes: ["violations"] }).then(({ violations }) =>
      violations.flatMap(({ id, nodes }) => nodes.map(({ html, failureSummary }) => id + ": " + html + " " + failureSummary)))`);
  }

  const rows = (page: Page) => page.locator("tbody a.open");

  describe.each(LOOKS)("$colorScheme, $width", ({ colorScheme, width, viewport }) => {
    const picture = (name: string) => join(FOLDER, `${name}-${width}-${colorScheme}.png`);
    const options: BrowserContextOptions = { colorScheme, viewport, reducedMotion: "reduce" };

    test("shows the agent and the list without violations of accessibility", async () => {
      await using page = await opened(options);
      await eventually(async () => expect(await rows(page).count()).toBe(50));
      await page.locator(".chart svg").first().waitFor();
      expect(await page.locator(".connection").textContent()).toBe("live");
      await page.screenshot({ path: picture("list") });
      expect(await violations(page)).toEqual([]);
      expect(await page.evaluate("document.documentElement.scrollWidth - innerWidth")).toBeLessThanOrEqual(0);
    });

    test("shows a Service with a problem, its effect and its cure", async () => {
      await using page = await opened(options, "#/service/billing/search");
      await page.locator(".findings .error .cure").waitFor();
      await page.screenshot({ path: picture("problem") });
      expect(await violations(page)).toEqual([]);
    });

    test("shows a Service without violations of accessibility", async () => {
      await using page = await opened(options, "#/service/shop/web");
      await page.getByText("draining").first().waitFor();
      await page.locator("summary").click();
      await page.screenshot({ path: picture("service"), fullPage: true });
      expect(await violations(page)).toEqual([]);
      expect(await page.evaluate("document.documentElement.scrollWidth - innerWidth")).toBeLessThanOrEqual(0);
    });
  });

  describe("in light colours on a desktop", () => {
    const options: BrowserContextOptions = { colorScheme: "light", viewport: WIDTHS.desktop };
    const focused = (page: Page) =>
      page.evaluate("document.activeElement.textContent || document.activeElement.tagName");

    test("a Service is searched for, opened, and left again by keyboard alone", async () => {
      await using page = await opened(options);
      await eventually(async () => expect(await rows(page).count()).toBe(50));
      await page.keyboard.press("/");
      await page.keyboard.type("shop/web 10.96.0.0:80");
      await eventually(async () => expect(await rows(page).first().textContent()).toBe("shop/web"));
      expect(page.url()).toContain("search=shop%2Fweb+10.96.0.0%3A80");
      await page.keyboard.press("ArrowDown");
      expect(await focused(page)).toBe("shop/web");
      await page.keyboard.press("Enter");
      await page.locator("h2.service").waitFor();
      await page.locator("p.facts", { hasText: "virtual server TCP/10.96.0.0:80" }).waitFor();
      expect(await focused(page)).toContain("All Services");
      await page.keyboard.press("Escape");
      await eventually(async () => expect(await rows(page).first().textContent()).toBe("shop/web"));
      expect(await page.getByRole("searchbox").inputValue()).toBe("shop/web 10.96.0.0:80");
    });

    test("every control is reached by the tabulator, and shows its focus", async () => {
      await using page = await opened(options, "#/?search=shop%2Fweb-1");
      await eventually(async () => expect(await rows(page).count()).toBeGreaterThan(3));
      const reached: string[] = [];
      for (let press = 0; press < 60 && !reached.includes("Next"); press++) {
        await page.keyboard.press("Tab");
        reached.push(String(await focused(page)));
        const outline = await page.evaluate("getComputedStyle(document.activeElement).outlineStyle");
        if (reached.at(-1) !== "BODY") expect([reached.at(-1), outline]).toEqual([reached.at(-1), "solid"]);
      }
      expect(reached).toEqual(expect.arrayContaining(["Skip to the content", "301 errors", "INPUT", "shop/web-1"]));
    });

    test("pages follow each other, and only those with problems can be listed", async () => {
      await using page = await opened(options);
      await page.getByText("1 to 50 of 10,001").waitFor();
      await page.getByRole("button", { name: "Next" }).click();
      await page.getByText("51 to 100 of 10,001").waitFor();
      await page.reload();
      await page.getByText("51 to 100 of 10,001").waitFor();
      await page.getByRole("button", { name: "301 errors" }).click();
      await page.getByText("1 to 50 of 301").waitFor();
      expect(await page.locator("tbody .badge.error").count()).toBe(50);
    });

    test("connections and a deleted Service are shown without a reload", async () => {
      await using page = await opened(options, "#/?search=shop%2Forders");
      const row = page.getByRole("row", { name: "shop/orders ClusterIP" }).first();
      await row.waitFor();
      const key = virtualServerKey("TCP", address("10.96.0.2"), 80);
      for (const real of agent.kernel.servers().get(key)?.reals.keys() ?? [])
        agent.kernel.setConnections(key, real, { active: 1_111, inactive: 0 });
      await row.getByText(/^[2-3],\d{3}$/).waitFor();
      const before = Number((await page.locator(".pages span").textContent())?.split(" ").at(-1));
      agent.serviceGone("shop/orders");
      await page.getByText(`of ${before - 1}`).waitFor();
    });

    test("10,000 Services are scrolled, paged and searched without a long frame", async () => {
      await using page = await opened(options);
      await eventually(async () => expect(await rows(page).count()).toBe(50));
      await page.evaluate(`globalThis.longTasks = []; globalThis.frames = [];
        new PerformanceObserver((list) => longTasks.push(...list.getEntries().map(({ duration }) => duration))).observe({ type: "longtask" });
        let last = performance.now();
        requestAnimationFrame(function next(now) { frames.push(now - last); last = now; requestAnimationFrame(next); });`);
      for (let turn = 0; turn < 10; turn++) {
        await page.mouse.wheel(0, turn % 2 === 0 ? 900 : -500);
        if (turn % 3 === 0) await page.getByRole("button", { name: "Next" }).click();
        await page.waitForTimeout(150);
      }
      await page.getByRole("searchbox").pressSequentially("billing/web-1", { delay: 60 });
      await eventually(async () => expect(await rows(page).first().textContent()).toBe("billing/web-1"));
      const { longTasks, frames } = JSON.parse(String(await page.evaluate("JSON.stringify({ longTasks, frames })")));
      const sorted = frames.toSorted((a: number, b: number) => a - b);
      const at = (share: number) => Math.round(sorted[Math.floor(share * (sorted.length - 1))]);
      const longest = Math.round(Math.max(0, ...longTasks));
      const elements = Number(await page.evaluate("document.querySelectorAll('*').length"));
      console.log(
        `${SERVICES} Services: ${elements} elements, ${frames.length} frames, median ${at(0.5)} ms, 99 % below ${at(0.99)} ms, ${longTasks.length} tasks above 50 ms, the longest ${longest} ms`,
      );
      expect(longest).toBeLessThan(patient(500));
      expect(elements).toBeLessThan(2_000);
    });
  });

  test("a page that loses its agent says so, and keeps what it shows", async () => {
    const own = await PageWorld.of(agent);
    const context = await browser.newContext();
    const page = await context.newPage();
    await page.goto(own.url);
    await page.getByText("live", { exact: true }).waitFor();
    await own[Symbol.asyncDispose]();
    await page.getByText(/connection lost|refused/).waitFor();
    expect(await rows(page).count()).toBe(50);
    await context.close();
  });
});
