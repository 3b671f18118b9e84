/** Something a person can put right; its message is shown as it is. */
export class Complaint extends Error {}
