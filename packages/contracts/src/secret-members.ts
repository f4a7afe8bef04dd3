/** Members of extra_data that are the caller's credentials (ComfyUI 0.24 strips the same two). */
export const SECRET_MEMBERS = ['auth_token_comfy_org', 'api_key_comfy_org'] as const;
