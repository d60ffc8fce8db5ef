import * as credentials from "./credentials.js";
import { askForm } from "./dialog.js";

let asking = false;

/**
 * Ask for user and password and connect with them. Where the browser sends its own on WebSockets this is never needed.
 * @param {import("./session.js").Session} session
 */
export async function signIn(session) {
  if (asking) return;
  asking = true;
  const answer = await askForm({
    title: "Sign in",
    text: "The simulator wants a user and a password. They are kept until the page is closed.",
    fields: [
      { name: "user", label: "User", required: true },
      { name: "password", label: "Password", type: "password", required: true },
    ],
    submit: "Sign in",
  });
  asking = false;
  if (answer === null) return;
  credentials.remember(answer.user, answer.password);
  session.connect();
}
